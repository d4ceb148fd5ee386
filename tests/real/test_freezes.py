"""Each thing that the exporter depends on ceases to answer, without an error: the rest goes on, and it is said."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.server import Simulation
from tests.real.conftest import wait_until
from tests.support.freezes import (
    FAR,
    GROUPS,
    LEADS,
    LONE,
    NEAR,
    POSTGRESQL,
    REFRESHES,
    STATUS,
    TASKS,
    Freeze,
    Group,
    Scene,
)
from tests.support.waiting import wait_equal

pytestmark = pytest.mark.real

PROBES = ("/metrics", "/-/healthy", "/-/ready")
MORE_READS = TASKS + 2


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path, group: Group) -> Iterator[Scene]:
    """All that runs, well."""
    postgres = request.getfixturevalue("postgres") if group.state == POSTGRESQL else None
    with ExitStack() as stack:
        yield Scene(tmp_path, group.role, postgres, stack)


def has_more_reads(vendor: Simulation, reads: int) -> bool:
    """Whether a vendor was called more often than that."""
    return len(vendor.calls.log) > reads


def reads_go_on(scene: Scene, *freezes: Freeze) -> None:
    """Of every account that does not depend on what is silent."""
    silent = {name for freeze in freezes for name in freeze.stale}
    reads = {name: len(vendor.calls.log) for name, vendor in scene.vendors.items() if name not in silent}
    for name, before in reads.items():
        wait_until(partial(has_more_reads, scene.vendors[name], before + MORE_READS), f"reads of {name} go on")


def live_through(scene: Scene, freeze: Freeze, number: int) -> None:
    """One silence and its end: in each of both accounts a task stops meanwhile, a new one is listed, one calls back."""
    subject, said = scene.subject, len(scene.subject.running.written())
    task, before = scene.task(NEAR, TASKS - 1), scene.counted()
    end = freeze.begin(scene)
    for name in (NEAR, FAR):
        scene.vendors[name].fleet.stop(scene.task(name, number))
    scene.vendors[NEAR].fleet.begin(scene.task(NEAR, TASKS + number), RunPlan(ends=3600.0))
    reads_go_on(scene, freeze)
    wait_until(lambda: freeze.is_said(subject, said), f"log and metric say it of {freeze.name}")
    for name in freeze.stale:
        listed = {"app_id": f"app-{name}", "status": "stale"}
        wait_equal(partial(subject.total, "webcast_tasks", **listed), TASKS - number)  # stopped ones were read before
        assert subject.samples(STATUS, app_id=f"app-{name}", status="running").count(1.0) == 0
    if freeze.callbacks != 200 and scene.role != LONE:
        wait_equal(partial(subject.samples, LEADS), [0.0])
        assert subject.samples(STATUS) == []
    elif freeze.callbacks != 200:
        assert scene.counted() == before, "what is not in the state is not shown"
    assert [subject.running.get(path).status_code for path in PROBES] == [200] * len(PROBES)
    assert subject.call_back(task, number) == freeze.callbacks

    end()
    wait_equal(scene.counted, scene.truth())
    wait_equal(partial(subject.call_back, task, number), 200)
    wait_equal(partial(scene.counting.total, REFRESHES), number + 1)
    wait_equal(partial(scene.counting.total, STATUS, status="running"), scene.running())
    reads_go_on(scene)
    assert (scene.counted(), scene.counting.total(REFRESHES)) == (scene.truth(), number + 1)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_what_is_silent_stops_nothing_else(scene: Scene, group: Group) -> None:
    """Reads, scrapes and probes go on, what is not read is stale, it is said; nothing is lost, and a stop is a stop."""
    for number, freeze in enumerate(group.freezes):
        live_through(scene, freeze, number)
    ends = [freeze.begin(scene) for freeze in group.freezes]
    reads_go_on(scene, *group.freezes)
    assert scene.subject.running.end() == 0
    for end in reversed(ends):
        end()
    assert "Traceback" not in scene.subject.running.written()
