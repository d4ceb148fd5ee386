"""A dispatcher that hangs or is dead is seen at /-/healthy, and nothing else suffers from it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from exporter.config.loader import load
from exporter.model.clock import Clock
from exporter.scheduler.poller import Poller
from exporter.service.exporter import Exporter
from exporter.store.database import open_sqlite
from exporter.web.app import create_app
from exporter.web.server import Listener, bind
from tests.faults.places import Place, open_place
from tests.real.conftest import wait_until
from tests.support import web_client

LATE = 6.0
LIMIT = 60.0


class Shifted:
    """The monotonic clock, moved on by a test."""

    seconds = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return time.monotonic() + self.seconds


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        opened = open_place(stack, "default")
        opened.run_tasks("app", 1)
        yield opened


@pytest.fixture
def shift() -> Shifted:
    return Shifted()


@pytest.fixture
def exporter(place: Place, shift: Shifted, tmp_path: Path) -> Iterator[Exporter]:
    """A started one in this process, over a state in memory."""
    file = tmp_path / "webcast-exporter.yml"
    targets = [{"targets": [str(place.tasks[0])]}]
    file.write_text(yaml.safe_dump({"accounts": [place.account()], "static_configs": targets}))
    config = load(file, {})
    made = Exporter(config, lambda: config, {}, open_sqlite(None), Clock(time.time, shift))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def status_of(exporter: Exporter) -> Iterator[Callable[[str], int]]:
    listener = Listener(create_app(exporter, exporter.failed), bind("127.0.0.1:0"), exporter.failed)
    listener.start()
    with web_client.client(listener.url) as client:
        yield lambda path: client.get(path).status_code
    listener.stop()


def test_a_hung_thread_is_seen(
    status_of: Callable[[str], int], shift: Shifted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick that never returns: 503 after 5 s, with scrapes as ever; 200 when it goes on."""
    hangs, release = threading.Event(), threading.Event()

    def hang(_poller: Poller) -> float:
        hangs.set()
        release.wait(LIMIT)
        return 0.0

    assert status_of("/-/healthy") == 200
    monkeypatch.setattr(Poller, "send_due", hang)
    assert hangs.wait(LIMIT)
    assert status_of("/-/healthy") == 200
    shift.seconds += LATE
    assert status_of("/-/healthy") == 503
    assert status_of("/metrics") == status_of("/-/ready") == 200
    release.set()
    wait_until(lambda: status_of("/-/healthy") == 200, "it moves again")


def test_a_dead_scheduler_is_seen(status_of: Callable[[str], int], exporter: Exporter, shift: Shifted) -> None:
    exporter._scheduler._scheduler.shutdown(wait=True)
    shift.seconds += LATE
    assert status_of("/-/healthy") == 503
