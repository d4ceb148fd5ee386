"""Each thing that an exporter depends on ceases to answer, without an error: the rest goes on, and it is said."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from exporter.simulator.lifecycle import RunPlan
from tests.real.conftest import wait_until
from tests.support.freezable import DATABASE
from tests.support.freezes import (
    ACCOUNTS,
    DEPENDENCIES,
    LEADS,
    LONE,
    LONE_ON_SERVER,
    MEANINGLESS,
    NEAR,
    PROCESSES,
    REFRESHES,
    REPLICAS,
    STATUS,
    STOPS,
    TASKS,
    WAVES,
    Freeze,
    Process,
    Scene,
    log,
)
from tests.support.postgresql import Postgres
from tests.support.waiting import wait_equal

pytestmark = pytest.mark.real

PROBES = ("/metrics", "/-/healthy", "/-/ready")
CALLED_BACK = "webcast_callback_events_total"
MORE_READS = 2
CALLBACKS = 20

Silences = Mapping[str, tuple[Freeze, ...]]


@pytest.fixture
def scene(tmp_path: Path, postgres: Postgres) -> Iterator[Scene]:
    """All processes, ready and with every task read."""
    with ExitStack() as stack:
        yield Scene(tmp_path, postgres, stack)


def has_no_state(silences: Silences, name: str) -> bool:
    """Whether this process cannot use its state."""
    return any(freeze.state for freeze in silences.get(name, ()))


def account_reads(scene: Scene, name: str, silences: Silences) -> dict[str, int]:
    """How many reads this process has sent, by account that answers."""
    silent = {account for freeze in silences.get(name, ()) for account in freeze.stale}
    return {each: scene.processes[name].relays[each].passed for each in ACCOUNTS if each not in silent}


def reads_go_on(scene: Scene, names: list[str], silences: Silences) -> None:
    """Wait for more reads of every account that answers, by each of these processes."""
    before = {name: account_reads(scene, name, silences) for name in names}
    for name, reads in before.items():
        for account, number in reads.items():
            relay = scene.processes[name].relays[account]
            wait_until(partial(relay.has_passed, number + MORE_READS), f"reads of {account} by {name} go on")


def judge_silence(scene: Scene, name: str, silences: Silences, number: int, counted: dict[str, float]) -> None:
    """What a process does and says while this is silent; `counted` is what it had counted before."""
    process, cut_off = scene.processes[name], has_no_state(silences, name)
    stale = {account for freeze in silences.get(name, ()) for account in freeze.stale}
    if name not in REPLICAS and cut_off:
        assert scene.counted(name) == counted, "what is not in the state is not shown"
    elif cut_off:
        wait_equal(partial(process.samples, LEADS), [0.0])
        assert process.samples(STATUS) == []
    elif process.leads:
        for account in ACCOUNTS:
            app = f"app-{account}"
            if account not in stale:
                wait_equal(partial(process.total, STOPS, app_id=app), number + 1)
                continue
            still = TASKS - number  # the others had stopped before
            wait_equal(partial(process.total, "webcast_tasks", app_id=app, status="stale"), still)
            assert process.samples(STATUS, app_id=app, status="running").count(1.0) == 0
    with ThreadPoolExecutor(CALLBACKS) as pool:  # of those that wait, none keeps a scrape or a probe waiting
        call_back = partial(process.call_back, scene.task(NEAR, TASKS - 1), number)
        # The vendor sends again what is answered 503; so is a callback whose commit takes long on a busy machine.
        judge = partial(wait_equal, call_back, 503 if cut_off else 200)
        callbacks = [pool.submit(judge) for _ in range(CALLBACKS)]
        assert [process.running.get(path).status_code for path in PROBES] == [200] * len(PROBES)
        for callback in callbacks:
            callback.result()


def at_once(judgements: list[Callable[[], None]]) -> None:
    """Make each in a thread of its own: a callback to a process without its state waits for seconds."""
    with ThreadPoolExecutor(len(judgements)) as pool:
        for judged in [pool.submit(each) for each in judgements]:
            judged.result()


def wait_reported(process: Process, freezes: tuple[Freeze, ...], begun: float, written: int) -> None:
    """Metrics say what has been silent since `begun`, and so does the log, if it is read, after so many characters."""
    for freeze in freezes:
        shown = partial(freeze.is_shown, process, begun)
        wait_until(shown, f"metrics of {process.folder.name} say it of {freeze.dependency}")
    if log not in freezes:
        wait_logged(process, freezes, written)


def wait_logged(process: Process, freezes: tuple[Freeze, ...], written: int) -> None:
    """The log, after so many characters, says what was silent."""
    for freeze in freezes:
        wait_until(
            partial(freeze.is_logged, process, written),
            f"the log of {process.folder.name} says it of {freeze.dependency}",
        )


def run_wave(scene: Scene, silences: Silences, number: int) -> None:
    """Silences and their end: in both accounts a task stops meanwhile; of the near one a new one is listed, one calls.

    A replica whose leader has lost the state leads itself.
    """
    begun = time.time()
    written = {name: len(process.running.written()) for name, process in scene.processes.items()}
    counted = {name: scene.counted(name) for name in PROCESSES}
    leading = [name for name, process in scene.processes.items() if process.leads]
    ends = [freeze.begin(scene, scene.processes[name]) for name, freezes in silences.items() for freeze in freezes]
    for account in ACCOUNTS:
        scene.vendors[account].fleet.stop(scene.task(account, number))
    scene.vendors[NEAR].fleet.begin(scene.task(NEAR, TASKS + number), RunPlan(ends=3600.0))
    reads_go_on(scene, leading, silences)
    for name, freezes in silences.items():
        wait_reported(scene.processes[name], freezes, begun, written[name])
    if not all(has_no_state(silences, name) for name in REPLICAS):
        wait_until(lambda: any(scene.processes[name].leads for name in REPLICAS), "a replica leads")
    at_once([partial(judge_silence, scene, name, silences, number, counted[name]) for name in PROCESSES])
    for end in ends:
        end()
    for name, freezes in silences.items():
        wait_logged(scene.processes[name], freezes, written[name])
    judge_end(scene, number, time.time())


def judge_end(scene: Scene, number: int, ended: float) -> None:
    """All is as if nothing had been silent: nothing is lost or doubled, and one replica leads."""
    for name, process in scene.processes.items():
        wait_until(partial(process.has_lease_answer, ended), f"the database answers {name}")
    wait_equal(lambda: sum(scene.processes[name].leads for name in REPLICAS), 1)
    at_once([partial(judge_state, scene, name, number) for name in PROCESSES])


def judge_state(scene: Scene, name: str, number: int) -> None:
    """What a process has missed is in its state, once."""
    wait_equal(partial(scene.counted, name), scene.truth())
    wait_equal(partial(scene.processes[name].call_back, scene.task(NEAR, TASKS - 1), number), 200)
    wait_equal(lambda: scene.counting(name).total(REFRESHES), number + 1)
    wait_equal(lambda: scene.counting(name).total(STATUS, status="running"), scene.running())


def test_each_dependency_is_silent_for_each_role() -> None:
    """Or is said to be none of the role's; the two lone exporters are one role."""
    silent = {(name, freeze.dependency) for wave in WAVES for name, freezes in wave.items() for freeze in freezes}
    silent |= {(LONE, dependency) for name, dependency in silent if name == LONE_ON_SERVER}
    assert silent.isdisjoint(MEANINGLESS)
    wanted = {(name, dependency) for name in (LONE, *REPLICAS) for dependency in DEPENDENCIES}
    assert wanted - silent == MEANINGLESS.keys()


def test_what_is_silent_stops_nothing_else(scene: Scene) -> None:
    """Reads, scrapes and probes go on, what is not read is stale, it is said; nothing is lost, and a stop is a stop.

    So it is when connections to the database are half open: none takes its own dead session for another process's.
    """
    for number, silences in enumerate(WAVES):
        run_wave(scene, silences, number)
    leading = [name for name, process in scene.processes.items() if process.leads]
    reads_go_on(scene, leading, {})
    for name in PROCESSES:
        assert scene.counted(name) == scene.truth()
        assert scene.counting(name).total(REFRESHES) == len(WAVES)
    for name in (LONE, LONE_ON_SERVER):
        assert scene.processes[name].samples(CALLED_BACK, outcome="accepted") == [len(WAVES)]

    scene.vendors[NEAR].fleet.stop(scene.task(NEAR, TASKS))
    for process in scene.processes.values():
        if DATABASE in process.relays:
            process.relays[DATABASE].cut()  # the server's halves stay open
    judge_end(scene, len(WAVES) - 1, time.time())

    everything = {name: tuple({freeze for wave in WAVES for freeze in wave.get(name, ())}) for name in PROCESSES}
    ends = [freeze.begin(scene, scene.processes[name]) for name, freezes in everything.items() for freeze in freezes]
    reads_go_on(scene, leading, everything)
    for process in scene.processes.values():
        process.running.process.send_signal(signal.SIGTERM)
    assert {name: each.running.process.wait(60) for name, each in scene.processes.items()} == dict.fromkeys(
        PROCESSES, 0
    )
    for end in reversed(ends):
        end()
    assert [name for name, each in scene.processes.items() if "Traceback" in each.running.written()] == []
