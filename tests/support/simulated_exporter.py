"""A whole exporter over a simulated vendor: real floors in one thread, a clock that a test moves, and no network."""

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from exporter.config.loader import load
from exporter.discovery.sd_format import Listing, TargetEntry
from exporter.enums import CallbackOutcome, Source
from exporter.errors import ReadError
from exporter.metrics.exposition import Format
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.service.exporter import Exporter
from exporter.simulator.fleet import Fleet
from exporter.simulator.gateway import GET_TASK, get_task
from exporter.simulator.lifecycle import CallbackEvent, RunPlan, begin_run, callback_payload
from exporter.simulator.replies import INTERNAL_ERROR, CallMetadata, NotFoundForm, VendorReply, failure
from exporter.store.counters import Total
from exporter.store.lease import FileLock
from exporter.volcengine.replies import Answer, parse_answer
from tests.support.state import kill

UNIX = 1_768_465_805.0
SECRET = "secret-of-the-callbacks"
BARE = TargetEntry({})
STEP = 0.1
METADATA = CallMetadata("request", GET_TASK, "2020-12-01", "cn-north-1")


@dataclass
class World:
    """A vendor and the wall clock beside it: `now` is the vendor's Unix seconds, `behind` how far ours is behind."""

    now: float = UNIX
    behind: float = 0.0
    not_found: NotFoundForm = NotFoundForm.ERROR
    asked: list[tuple[float, TargetId]] = field(default_factory=list)
    failing: bool = False

    def __post_init__(self) -> None:
        self.fleet = Fleet(lambda: self.now)
        self.clock = Clock(self.unix, lambda: self.now)

    def unix(self) -> float:
        """Our wall clock."""
        return self.now - self.behind

    @property
    def milliseconds(self) -> int:
        """The vendor's clock as its replies have it."""
        return int(self.now * 1000)

    def begin(self, target: TargetId, plan: RunPlan, age: float = 0.0) -> bool:
        """StartWebcast `age` seconds ago; False when the task's last life goes on."""
        return self.fleet.start(target, begin_run(plan, self.now - age))

    def read(self, target: TargetId) -> ReadResult:
        """One call, answered at once; what the client understands of it."""
        return self.read_result(target, self._answer(target))

    def read_result(self, target: TargetId, answer: Answer | ReadError) -> ReadResult:
        """An answer, or what came in its place, as a read of this moment."""
        try:
            outcome = answer if isinstance(answer, ReadError) else parse_answer(answer, self.unix()).task
        except ReadError as error:
            outcome = error
        return ReadResult(target, at=self.unix(), server_time=self.now, elapsed=0.1, outcome=outcome)

    def reply(self, target: TargetId) -> VendorReply:
        """What the vendor sends back to a call for `target`."""
        self.asked.append((self.now, target))
        if self.failing:
            return failure(METADATA, INTERNAL_ERROR, "An internal error occurred.")
        return get_task(self.fleet, target, self.now, self.not_found, METADATA)

    def _answer(self, target: TargetId) -> Answer:
        reply = self.reply(target)
        return Answer(reply.status, date="", retry_after="", document=reply.document, flaw=None)


class Wire(BaseAdapter):
    """In place of the network: the vendor's answer to a signed request."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, request: PreparedRequest, *_args: Any, **_kwargs: Any) -> Response:
        """Answer at once."""
        asked = dict(parse_qsl(urlsplit(request.url or "").query))
        reply = self._world.reply(TargetId(asked["AppId"], asked["RoomId"], asked["TaskId"]))
        response = Response()
        response.status_code = reply.status
        response.raw = BytesIO(json.dumps(reply.document).encode())
        return response

    def close(self) -> None:
        """Nothing is open."""


class Inline(Executor):
    """Calls wait here until they are run, in the test's own thread."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], Any]] = deque()

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Keep the call."""
        self._calls.append(partial(call, *args, **kwargs))
        return Future()

    def run(self) -> bool:
        """Run what waits; False when nothing does."""
        any_waits = bool(self._calls)
        while self._calls:
            self._calls.popleft()()
        return any_waits


class Whole:
    """The real exporter in one thread and without a network: its jobs are called here, and its calls end at once.

    A call that waits for its slot moves the world's time on. The secret of callbacks lies beside the configuration, for
    a section `callbacks={"secret_file": "secret"}`.
    """

    def __init__(self, folder: Path, world: World, **sections: Any) -> None:
        keys = {"access_key_id": "AKLTexample", "secret_access_key": "made-up-secret"}
        document = {"accounts": [{"name": "default", **keys}], "state": {"url": f"sqlite:///{folder}/state.db"}}
        (folder / "secret").write_text(SECRET)
        file = folder / "webcast-exporter.yml"
        file.write_text(yaml.safe_dump(document | sections))
        config = load(file, {})
        self.world = world
        self.work = Inline()
        self.exporter = Exporter(config, lambda: config, {}, FileLock(config.state.url.path).open(), world.clock)
        self.exporter._apply(config)
        self.poller = self.exporter._components.pollers.by_account["default"]
        account = self.poller.account
        account.rate_limiter._sleep = self._sleep
        account.client._session.mount("https://", Wire(world))
        self.poller.account = replace(account, executor=self.work)

    def list(self, targets: Iterable[TargetId], said: TargetEntry = BARE) -> None:
        """The sources list these now, each with what is `said` of it."""
        listing = Listing(Source.HTTP, dict.fromkeys(targets, said))
        self.exporter._targets._sources._static = listing
        self.exporter._targets.apply()

    def run(self, seconds: float, step: float = STEP) -> None:
        """Let the time pass: every `step` send what is due, and end the listings whose time is over."""
        end = self.world.now + seconds
        while self.world.now < end:
            began = self.world.now
            self.exporter._expire()
            self.exporter.push.sweep()
            while (next_look := self.poller.send_due()) < began + step:
                if not self.work.run():
                    self.world.now = max(self.world.now, next_look)
            self.work.run()
            self.world.now = max(self.world.now, began + step)

    def call_back(self, notice: CallbackEvent, nonce: str = "4821") -> CallbackOutcome:
        """The vendor delivers one of its events."""
        return self.exporter.callbacks.receive(callback_payload(notice, SECRET, nonce))

    def scrape(self, names: Collection[str] = ()) -> str:
        """The text that /metrics serves now, of these names alone if there are any."""
        self.exporter._components.store.flush()
        return self.exporter.exposition.scrape(Format.TEXT, names).decode()

    def stops(self) -> dict[str, float]:
        """`webcast_run_stops_total` by reason, what is zero left out."""
        self.exporter._components.store.flush()
        totals = self.exporter._components.store.counters()
        return {series.label: value for series, value in totals.items() if series.total is Total.RUN_STOPS and value}

    def kill(self) -> None:
        """End as a killed process does."""
        kill(self.exporter._components.store)

    def _sleep(self, seconds: float) -> None:
        self.world.now += seconds


@pytest.fixture
def new_whole(tmp_path: Path) -> Iterator[Callable[..., Whole]]:
    """Start a whole exporter over the test's one state: `new_whole(world, **sections)`."""
    started: list[Whole] = []

    def make(world: World, **sections: Any) -> Whole:
        started.append(Whole(tmp_path, world, **sections))
        return started[-1]

    yield make
    for whole in started:
        whole.exporter.stop()


@pytest.fixture
def new_world() -> Callable[[], World]:
    return World
