"""The fleet: runs, events that come due, ground truth and rehearsals."""

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.enums import PageReason, Status, StopReason
from exporter.model.target import TargetId
from exporter.simulator.fleet import (
    Fleet,
    demo_fleet,
    page_event_counts,
    states,
    status_counts,
    stop_counts,
    stopped_runs,
    truth_document,
)
from exporter.simulator.lifecycle import (
    CallbackEvent,
    Ending,
    PageTrouble,
    RunPlan,
    SimulatedRun,
    TaskSettings,
    begin_run,
    callback_events,
    run_state,
    task_document,
)
from exporter.volcengine.replies import parse_reply

BORN = 1_700_000_000.0


@pytest.fixture
def fleet() -> Fleet:
    """A demo fleet of the default size."""
    return demo_fleet(40, 60.0, 1, lambda: BORN)


def at(after: float) -> int:
    """Seconds after the fleet began, in Unix milliseconds."""
    return round((BORN + after) * 1000)


def test_a_demo_begins_with_every_status(fleet: Fleet) -> None:
    """Its members are met in all five statuses at once."""
    assert dict.fromkeys(Status, True) == {status: count > 0 for status, count in status_counts(fleet, at(0)).items()}


def test_a_watcher_sees_every_status_at_any_time(fleet: Fleet) -> None:
    """For an hour there is no second in which one of the five statuses is missing."""
    assert [second for second in range(3600) if not all(status_counts(fleet, at(second)).values())] == []


def test_a_demo_shows_every_reason(fleet: Fleet) -> None:
    """At the beginning each stop reason has been met, an end without a reason included."""
    assert dict.fromkeys(stop_counts(fleet, at(0)), True) == {
        reason: count > 0 for reason, count in stop_counts(fleet, at(0)).items()
    }
    assert StopReason.UNSPECIFIED in stop_counts(fleet, at(0))


def test_a_demo_is_its_seed() -> None:
    """The same seed runs the same day, however it is asked; another seed another."""
    asked_once = demo_fleet(20, 60.0, 7, lambda: BORN)
    asked_often = demo_fleet(20, 60.0, 7, lambda: BORN)
    for second in range(0, 600, 7):
        asked_often.runs(at(second))
    assert asked_once.runs(at(600)) == asked_often.runs(at(600))
    assert asked_once.runs(at(600)) != demo_fleet(20, 60.0, 8, lambda: BORN).runs(at(600))


def test_a_demo_has_the_example_first(fleet: Fleet) -> None:
    """The first task is the one of all examples, and each SourceURL carries the canary that must be seen nowhere."""
    assert str(next(iter(fleet.targets()))) == "661e0000000000000000543c/Room1/Task1"
    urls = {run.settings.source_url for runs in fleet.runs(at(0)).values() for run in runs}
    assert {"https://classroom.example.com/live?token=canary-source-url-query"} == urls


def test_a_new_run_has_a_new_start(fleet: Fleet) -> None:
    """Each member runs again and again under its id: every run begins after the end of the one before."""
    for runs in fleet.runs(at(3600)).values():
        assert len(runs) > 5
        assert all(one.end is not None and one.end < next_one.created for one, next_one in pairwise(runs))
        starts = [run.start for run in runs if run.start is not None]
        assert sorted(set(starts)) == starts


def test_an_end_is_seen_until_the_next_life(target: TargetId) -> None:
    """In the pause between two runs the task tells the end of the first."""
    fleet = Fleet(lambda: BORN)
    second = begin_run(RunPlan(starts=5, ends=50), BORN + 100)
    fleet.add(target, begin_run(RunPlan(ends=10), BORN), successor=lambda _number, _end: second)
    seen = [run_state(run, at(after)).status for after in (9, 99, 101, 106) if (run := fleet.run(target, at(after)))]
    assert seen == [Status.RUNNING, Status.ENDED, Status.NOT_STARTED, Status.RUNNING]


def test_stop_ends_what_lives(target: TargetId) -> None:
    """StopWebcast ends a live task now, by API; there is nothing to stop twice, nor what never was."""
    fleet = Fleet(lambda: BORN)
    fleet.begin(target, RunPlan(TaskSettings(max_running_time=3600)), age=60)
    assert [fleet.stop(target), fleet.stop(target), fleet.stop(TargetId("a", "b", "c"))] == [True, False, False]
    state = states(fleet, at(0))[target]
    assert (Status.ENDED, "StopByAPI", at(-60), at(0)) == (state.status, state.reason, state.start, state.end)


def test_a_stopped_member_runs_on(fleet: Fleet, target: TargetId) -> None:
    """A demo task that is stopped early begins anew after its pause like any other."""
    clock = BORN + 1
    fleet.clock = lambda: clock
    assert fleet.stop(target)
    runs = fleet.runs(at(3600))[target]
    assert Ending.STOPPED_BY_API is runs[0].ending
    assert len(runs) > 5


def test_start_refuses_a_second_run_beside_the_first(target: TargetId) -> None:
    """StartWebcast on a live task begins nothing; after its end it begins a new run."""
    fleet = Fleet(lambda: BORN)

    def run(after: float) -> bool:
        return fleet.start(target, begin_run(RunPlan(ends=10), BORN + after))

    assert [run(0), run(9), run(10)] == [True, False, True]
    assert len(fleet.runs(at(10))[target]) == 2


def test_labels_survive_a_new_life(target: TargetId) -> None:
    """A run added without labels keeps those the task has."""
    fleet = Fleet(lambda: BORN)
    fleet.add(target, begin_run(RunPlan(ends=1), BORN), labels={"team": "edu"})
    fleet.begin(target, RunPlan())
    assert {target: {"team": "edu"}} == fleet.targets()


FROZEN = RunPlan(
    TaskSettings(freeze_check=5, max_running_time=3600),
    starts=10,
    ends=90,
    troubles=(PageTrouble(PageReason.FREEZE, 20, lasting=True),),
)


class TimedFleet(Fleet):
    """A fleet on a clock that a test sets, in seconds after its creation."""

    def __init__(self) -> None:
        super().__init__(lambda: BORN + self.after)
        self.after = 0.0

    def looks(self, *times: float) -> list[list[tuple[float, int]]]:
        """What each look at due events gives: seconds after creation, to the millisecond, and Status."""
        found = []
        for self.after in times:
            found.append([(round(event.at / 1000 - BORN, 3), event.status) for event in self.due_events()])
        return found


@pytest.fixture
def timed() -> TimedFleet:
    """One without tasks."""
    return TimedFleet()


def test_each_look_gives_what_came_due(timed: TimedFleet, target: TargetId) -> None:
    """Every event is given once, from its own millisecond on, in the order of time."""
    timed.begin(target, FROZEN)
    timed.follow()
    expected = [[], [(10, 1)], [], [(30, 4), (40, 5)], [(90, 3)], []]
    assert expected == timed.looks(9.999, 10, 10, 50, 90, 1e6)


def test_what_was_before_is_not_told(timed: TimedFleet, target: TargetId) -> None:
    """Nothing from before the following began, though its run goes on, nor of a run put in late."""
    timed.begin(target, FROZEN)
    timed.after = 30
    timed.follow()
    timed.begin(TargetId("app", "Room", "late"), FROZEN, age=35)
    timed.begin(TargetId("app", "Room", "over"), FROZEN, age=300)
    assert timed.looks(30, 40) == [[(30, 4)], [(35, 5), (40, 5)]]


def test_without_a_follower_nothing_is_kept(timed: TimedFleet, target: TargetId) -> None:
    """Neither before the following nor after it."""
    timed.begin(target, FROZEN)
    first = timed.looks(50)
    timed.follow()
    timed.unfollow()
    timed.stop(target)
    assert first + timed.looks(1000) == [[], []]
    assert (timed._wakeups, timed._late) == ([], [])


def test_a_stopped_task_tells_nothing_more(timed: TimedFleet, target: TargetId) -> None:
    """After a stop there is its end alone; what came due before it is told, though it was not asked for yet."""
    timed.begin(target, FROZEN)
    timed.follow()
    timed.after = 30
    assert timed.stop(target)
    assert timed.looks(30, 1e6) == [[(10, 1), (30, 4), (30, 3)], []]


def test_a_run_follows_another(timed: TimedFleet, target: TargetId) -> None:
    """A successor's events come without anyone asking for the task, and after a stop those of the new successor."""

    def after_a_minute(_number: int, end: int) -> SimulatedRun:
        return begin_run(RunPlan(ends=60), end / 1000 + 60)

    timed.add(target, begin_run(RunPlan(ends=100), BORN), successor=after_a_minute)
    timed.follow()
    assert timed.looks(0, 39) == [[(0, 1)], []]
    timed.after = 40
    assert timed.stop(target)
    assert timed.looks(99, 100, 220) == [[(40, 3)], [(100, 1)], [(160, 3), (220, 1)]]


def test_nothing_changes_what_was_told(timed: TimedFleet, target: TargetId) -> None:
    """A stop in the millisecond of a look is told by the next one; so is a run that was put in a moment late."""
    timed.begin(target, RunPlan())
    timed.follow()
    assert timed.looks(0, 5) == [[(0, 1)], []]
    assert timed.stop(target)
    timed.add(TargetId("app", "Room", "late"), begin_run(RunPlan(), BORN + 4.9))
    assert timed.looks(6) == [[(4.9, 1), (5.001, 3)]]


def test_runs_that_are_all_alike(timed: TimedFleet, target: TargetId) -> None:
    """Started and stopped in one millisecond again and again, the last one's events alone are still to come."""
    timed.follow()
    for _ in range(3):
        assert timed.start(target, begin_run(FROZEN, BORN))
        timed.stop(target)
    timed.start(target, begin_run(FROZEN, BORN))
    assert timed.looks(0, 10) == [[(0, 3)] * 3, [(10, 1)]]


STEPS = st.lists(st.tuples(st.sampled_from((0, 0, 1, 300, 5000)), st.integers(0, 25), st.booleans()), max_size=60)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), steps=STEPS)
def test_what_is_told_is_what_happened(seed: int, steps: list[tuple[int, int, bool]]) -> None:
    """Whatever is started and stopped between looks, every event of every run is told once, and no other."""
    after = 0.0
    fleet = demo_fleet(13, 300.0, seed, lambda: BORN + after)
    targets = list(fleet.targets())
    fleet.follow()
    seen: list[CallbackEvent] = []
    for wait, index, look in steps:
        after += wait / 1000
        if index < 13:
            fleet.stop(targets[index])
        else:
            fleet.start(targets[index - 13], begin_run(FROZEN, BORN + after, 20))
        seen += fleet.due_events() if look else []
    seen += fleet.due_events()
    now = round((BORN + after) * 1000)
    happened = [event for task, runs in fleet.runs(now).items() for run in runs for event in callback_events(task, run)]
    assert Counter(event for event in happened if BORN * 1000 <= event.at <= now) == Counter(seen)


def watch(fleet: Fleet, seconds: int) -> tuple[Counter[Status], set[tuple[TargetId, float | None, StopReason | None]]]:
    """Poll every task every 50 ms: the last statuses, and every end that was seen."""
    statuses: Counter[Status] = Counter()
    ends = set()
    for at in range(round(BORN * 1000), round((BORN + seconds) * 1000) + 1, 50):
        statuses.clear()
        for target in fleet.targets():
            run = fleet.run(target, at)
            assert run is not None
            task = parse_reply({"Result": {"WebcastTask": task_document(run, at)}}).task
            statuses[task.status] += 1
            if task.stopped:
                ends.add((target, task.end, task.stop_reason))
    return statuses, ends


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_truth_is_what_a_close_watcher_counts(seed: int) -> None:
    """Polling at fine steps sees each end once, by the truth's reason, and the truth's statuses at the end."""
    fleet = demo_fleet(13, 300.0, seed, lambda: BORN)
    statuses, ends = watch(fleet, 15)
    now = round((BORN + 15) * 1000)
    assert status_counts(fleet, now) == {status: statuses[status] for status in Status}
    seen = Counter(reason for _, _, reason in ends)
    assert stop_counts(fleet, now) == {reason: seen[reason] for reason in stop_counts(fleet, now)}
    assert len(stopped_runs(fleet, now)) == len(ends)


def test_truth_counts_from_nothing() -> None:
    """Without a task every status and every reason is there, at zero."""
    fleet = Fleet(lambda: BORN)
    now = round(BORN * 1000)
    assert dict.fromkeys(Status, 0) == status_counts(fleet, now)
    assert list(stop_counts(fleet, now).values()) == [0] * 5


def test_an_end_counts_from_its_own_millisecond(target: TargetId) -> None:
    """A run that ends at a time is over at that time, and not a millisecond before."""
    fleet = Fleet(lambda: BORN)
    end = fleet.begin(target, RunPlan(ends=20)).end or 0
    assert [len(stopped_runs(fleet, at)) for at in (end - 1, end)] == [0, 1]


def test_page_events_are_counted_once_they_happened() -> None:
    """Events are counted by callback Status and Reason, not before their time."""
    fleet = demo_fleet(13, 60.0, 1, lambda: BORN)
    counts = [sum(page_event_counts(fleet, round((BORN + after) * 1000)).values()) for after in (0, 600)]
    assert counts[0] < counts[1]
    assert {(4, "PageFreeze"), (5, "PageCrash"), (4, "PageBlank"), (4, "StartEventTimeout")} <= page_event_counts(
        fleet, round((BORN + 600) * 1000)
    ).keys()


def test_the_document_tells_all_but_the_source_url(target: TargetId) -> None:
    """`/truth` has each task's state in seconds and the counts; no SourceURL."""
    fleet = Fleet(lambda: BORN)
    plan = RunPlan(TaskSettings(source_url="https://a.example/?token=canary"), ends=20, ending=Ending.STOPPED_BY_API)
    fleet.begin(target, plan, age=60)
    told = truth_document(fleet, BORN)
    assert {str(target): {"status": "ended", "reason": "StopByAPI", "start": BORN - 60, "end": BORN - 40}} == told[
        "tasks"
    ]
    assert told["stops"]["StopByAPI"] == 1
    assert told["statuses"]["ended"] == 1
    assert "canary" not in json.dumps(told)
