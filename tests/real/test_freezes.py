"""Each thing that the exporter depends on ceases to answer, without an error: the rest goes on, and it is said."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from exporter.simulator.server import Simulation
from tests.real.conftest import wait_until
from tests.support.freezes import FAR, FREEZES, LONE, NEAR, REFRESHES, STATUS, TASKS, Freeze, Scene

pytestmark = pytest.mark.real

PROBES = ("/metrics", "/-/healthy", "/-/ready")
MORE_READS = TASKS + 2
LEADS = "webcast_exporter_leader"


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path, freeze: Freeze) -> Iterator[Scene]:
    """All that runs, well."""
    postgres = request.getfixturevalue("postgres") if freeze.postgres else None
    with ExitStack() as stack:
        yield Scene(tmp_path, freeze.role, postgres, stack)


def equals(found: Callable[[], float], expected: float) -> bool:
    """Whether it is that now."""
    return found() == expected


def has_more_reads(vendor: Simulation, reads: int) -> bool:
    """Whether a vendor was called more often than that."""
    return len(vendor.calls.log) > reads


def reads_go_on(scene: Scene, freeze: Freeze) -> None:
    """Of every account that does not depend on what is silent."""
    before = {name: len(vendor.calls.log) for name, vendor in scene.vendors.items() if name not in freeze.stale}
    for name, reads in before.items():
        wait_until(partial(has_more_reads, scene.vendors[name], reads + MORE_READS), f"reads of {name} go on")


@pytest.mark.parametrize("freeze", FREEZES, ids=lambda freeze: freeze.name)
def test_what_is_silent_stops_nothing_else(scene: Scene, freeze: Freeze) -> None:
    """Reads, scrapes and probes go on, what is not read is stale, it is said, and a stop is a stop; nothing is lost."""
    subject, lost = scene.subject, freeze.callbacks != 200
    end = freeze.begin(scene)
    for vendor, name in ((scene.vendors[name], name) for name in (NEAR, FAR)):
        vendor.fleet.stop(scene.task(name, 0))
    reads_go_on(scene, freeze)
    wait_until(lambda: freeze.is_said(subject), "log and metric say it")
    for name in freeze.stale:
        stale = partial(subject.total, "webcast_tasks", app_id=f"app-{name}", status="stale")
        wait_until(partial(equals, stale, TASKS), "what is not read is stale")
        assert subject.samples(STATUS, app_id=f"app-{name}") == []
    if lost and freeze.role != LONE:
        wait_until(lambda: subject.samples(LEADS) == [0.0], "it does not lead")
        assert subject.samples(STATUS) == []
    assert [subject.running.get(path).status_code for path in PROBES] == [200] * len(PROBES)
    assert subject.call_back(scene.task(NEAR, 1), 1) == freeze.callbacks
    assert not (lost and scene.counted() and freeze.role == LONE), "what is not in the state is not shown"

    end()
    wait_until(lambda: scene.counted() == scene.truth(), f"{scene.truth()} is counted")
    wait_until(lambda: subject.call_back(scene.task(NEAR, 1), 1) == 200, "the callback is taken")
    wait_until(lambda: scene.counting.total(REFRESHES) == 1, "it is counted")
    running = 2 * TASKS - 2
    wait_until(lambda: len(scene.counting.samples(STATUS, status="running")) == 2 * TASKS, "every task is shown")
    wait_until(lambda: scene.counting.total(STATUS, status="running") == running, "every live task is read")
    reads_go_on(scene, freeze)
    assert (scene.counted(), scene.counting.total(REFRESHES)) == (scene.truth(), 1)

    end = freeze.begin(scene)
    reads_go_on(scene, freeze)
    assert subject.running.end() == 0
    end()
    assert "Traceback" not in subject.running.written()
