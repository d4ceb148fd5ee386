"""The table of problems: when each begins and ends, since when it is told, and what it names."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import PageAction, PageReason, Severity, Status, StopReason, TaskProblem
from exporter.errors import NotFound, ReadError, TimedOut
from exporter.model.problem import PROBLEMS, ProblemThresholds, evaluate
from exporter.model.target import Target, TargetId
from exporter.model.task import Callback, PageEvent, ReadResult, Task
from exporter.model.task_state import ActiveProblem, Lifetimes, TaskState, accept, apply_callback, apply_read, expire

NOW = 1_768_465_800.0
"""The expected start of the class; it is meant to last an hour."""

END = NOW + 3600.0
ID = TargetId("app", "room", "task")
CLASS = Target(ID, "default", expected_start=NOW, expected_end=END)
PLAIN = Target(ID, "default")
THRESHOLDS = ProblemThresholds()
LIFETIMES = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)

Told = tuple[float, Task | ReadError | PageEvent]
RUNNING: Task = Task(Status.RUNNING, start=NOW + 1)
NOT_STARTED = Task(Status.NOT_STARTED)
UNKNOWN = Task(Status.UNKNOWN)
GONE: ReadError = NotFound("no such task")
SLOW: ReadError = TimedOut("too slow")


def stopped(at: float | None, reason: StopReason | None, status: Status = Status.ENDED, start: float = NOW) -> Task:
    return Task(status, start=start, end=at, stop_reason=reason)


def story(target: Target, *events: Told, until: float | None = None) -> TaskState:
    """The state after these reads and page events, each at its moment; time goes on to `until`."""
    state = accept(target, None, NOW - 60)
    last = NOW
    for at, event in events:
        last = at
        state = advanced(state, at)
        if isinstance(event, PageEvent):
            state, _ = apply_callback(state, Callback(target.id, str(at), str(at), event.at, event), at)
        else:
            state, _ = apply_read(state, ReadResult(target.id, at, at, 0.1, event))
    return advanced(state, last if until is None else until)


def advanced(state: TaskState, now: float) -> TaskState:
    """Time has gone on."""
    after, _ = expire(state, now, LIFETIMES)
    assert after is not None
    return after


def told(state: TaskState, now: float) -> dict[str, tuple[float, str]]:
    """The problems at a moment: since when, and the cause."""
    return {active.problem: (active.since, active.cause) for active in evaluate(state, now, THRESHOLDS)[0]}


def page(action: PageAction, at: float, reason: PageReason = PageReason.FREEZE) -> Told:
    return at, PageEvent(action, reason, at)


REFRESH, RESCHEDULE = PageAction
FAILED = stopped(NOW + 880, StopReason.UNKNOWN, Status.FAILED)
FAILED_TO_START = Task(Status.FAILED, end=NOW + 190, stop_reason=StopReason.START_TASK_FAILED)
LIMITED = replace(RUNNING, max_running_time=3000)

CASES: dict[str, tuple[str, Target, Sequence[Told], float, float, float, str]] = {
    # problem, target, events, begins, ends, since, cause
    "a class that has not started": ("class_dark", CLASS, [(NOW, NOT_STARTED)], NOW + 120, END, NOW, ""),
    "a class whose task was never created": ("class_dark", CLASS, [(NOW, GONE)], NOW + 120, END, NOW, "not_found"),
    "a class whose status was never known": (
        *("class_dark", CLASS, [(NOW, UNKNOWN)]),
        *(NOW + 120, END, NOW, "status_unknown"),
    ),
    "a class whose running task is gone": (
        "class_dark",
        CLASS,
        [(NOW + 60, RUNNING), (NOW + 1000, GONE)],
        *(NOW + 1030, END, NOW + 1000, "not_found"),
    ),
    "a class whose running task is lost": (
        "class_dark",
        CLASS,
        [(NOW + 60, RUNNING), (NOW + 900, GONE), (NOW + 1030, GONE)],
        *(-math.inf, END, NOW + 900, "Lost"),
    ),
    "a class that failed": (
        *("class_dark", CLASS, [(NOW + 900, stopped(NOW + 880, StopReason.UNKNOWN, Status.FAILED))]),
        *(-math.inf, END, NOW + 880, "UnknownStopReason"),
    ),
    "a class that failed in its last minute": (
        *("class_dark", CLASS, [(END - 9, stopped(END - 10, None, Status.FAILED))]),
        *(-math.inf, END, END - 10, "Unspecified"),
    ),
    "a class that ended early": (
        *("class_dark", CLASS, [(NOW + 900, stopped(NOW + 880, StopReason.STOP_BY_API))]),
        *(-math.inf, END, NOW + 880, "StopByAPI"),
    ),
    "a class of which only the end is known": (
        *("class_dark", replace(CLASS, expected_start=None), [(NOW + 900, stopped(NOW + 880, None))]),
        *(-math.inf, END, NOW + 880, "Unspecified"),
    ),
    "a class whose id's earlier class has ended": (
        *("class_dark", CLASS, [(NOW, stopped(NOW - 500, StopReason.STOP_BY_API, start=NOW - 900))]),
        *(NOW + 120, END, NOW, ""),
    ),
    "a class whose task failed just before it": (
        *("class_dark", CLASS, [(NOW, stopped(NOW - 30, StopReason.UNKNOWN, Status.FAILED, start=NOW - 60))]),
        *(NOW + 120, END, NOW, "UnknownStopReason"),
    ),
    "a class whose start failed was never on": (
        *("class_dark", CLASS, [(NOW + 90, NOT_STARTED), (NOW + 190, FAILED_TO_START)]),
        *(-math.inf, END, NOW, "StartTaskFailed"),
    ),
    "a class whose second run does not start is dark since the first one ended": (
        *("class_dark", CLASS, [(NOW + 900, FAILED), (NOW + 1000, NOT_STARTED), (NOW + 1005, NOT_STARTED)]),
        *(-math.inf, END, NOW + 880, ""),
    ),
    "a class whose second run cannot be started is dark since the first one ended": (
        *("class_dark", CLASS, [(NOW + 900, FAILED), (NOW + 1000, replace(FAILED_TO_START, end=NOW + 990))]),
        *(-math.inf, END, NOW + 880, "StartTaskFailed"),
    ),
    "a class whose second run failed too before it was read": (
        *("class_dark", CLASS, [(NOW + 900, FAILED), (NOW + 1500, replace(FAILED, start=NOW + 905, end=NOW + 1400))]),
        *(-math.inf, END, NOW + 1400, "UnknownStopReason"),
    ),
    "a class whose second run is of unknown status is dark since the first one ended": (
        *("class_dark", CLASS, [(NOW + 900, FAILED), (NOW + 1000, UNKNOWN)]),
        *(-math.inf, END, NOW + 880, "status_unknown"),
    ),
    "a class whose running task is replaced by one that does not start": (
        *("class_dark", CLASS, [(NOW + 60, RUNNING), (NOW + 1000, NOT_STARTED), (NOW + 1005, NOT_STARTED)]),
        *(-math.inf, END, NOW + 1000, ""),
    ),
    "a class whose running task is gone, and whose next one does not start": (
        "class_dark",
        CLASS,
        [(NOW + 60, RUNNING), (NOW + 900, GONE), (NOW + 1000, NOT_STARTED)],
        *(-math.inf, END, NOW + 900, ""),
    ),
    "a class without expected end": (
        *("class_dark", replace(CLASS, expected_end=None), [(NOW, NOT_STARTED)], NOW + 120, NOW + 86_400, NOW, ""),
    ),
    "ended early": (
        *("ended_early", CLASS, [(NOW + 900, stopped(NOW + 880, StopReason.UNKNOWN))]),
        *(-math.inf, END, NOW + 880, "UnknownStopReason"),
    ),
    "a failure lasts as long as its class": (
        *("failed", CLASS, [(NOW + 900, stopped(NOW + 880, StopReason.OTHER, Status.FAILED))]),
        *(-math.inf, END, NOW + 880, "Other"),
    ),
    "a failure shortly before the end of its class": (
        *("failed", CLASS, [(END - 9, stopped(END - 10, StopReason.OTHER, Status.FAILED))]),
        *(-math.inf, END, END - 10, "Other"),
    ),
    "a cut shortly before the end of its class": (
        *("cut_by_limit", CLASS, [(END - 9, stopped(END - 10, StopReason.EXCEED_MAX_RUNNING_TIME))]),
        *(-math.inf, END, END - 10, "ExceedMaxRunningTime"),
    ),
    "a failure without a class lasts as long as its series": (
        *("failed", PLAIN, [(NOW + 900, stopped(NOW + 880, StopReason.OTHER, Status.FAILED))]),
        *(-math.inf, NOW + 1800, NOW + 880, "Other"),
    ),
    "a failure without EndTime is as old as its first sight": (
        *("failed", PLAIN, [(NOW + 900, stopped(None, None, Status.FAILED))]),
        *(-math.inf, NOW + 1800, NOW + 900, "Unspecified"),
    ),
    "a failed start": (
        *("start_failed", PLAIN, [(NOW, stopped(NOW - 5, StopReason.START_TASK_FAILED, Status.FAILED))]),
        *(-math.inf, NOW + 900, NOW - 5, "StartTaskFailed"),
    ),
    "cut by its limit": (
        *("cut_by_limit", PLAIN, [(NOW, stopped(NOW - 5, StopReason.EXCEED_MAX_RUNNING_TIME))]),
        *(-math.inf, NOW + 900, NOW - 5, "ExceedMaxRunningTime"),
    ),
    "a limit before the end": ("will_be_cut", CLASS, [(NOW + 60, LIMITED)], -math.inf, math.inf, NOW + 1, ""),
    "an overrun": ("overrun", CLASS, [(END + 899, RUNNING)], END + 900, math.inf, END, ""),
    "near a short limit": (*("near_limit", PLAIN, [(NOW + 2650, LIMITED)], NOW + 2701, math.inf, NOW + 2701, ""),),
    "near a long limit": (
        *("near_limit", PLAIN, [(NOW + 85_700, replace(RUNNING, max_running_time=86_400))]),
        *(NOW + 85_801, math.inf, NOW + 85_801, ""),
    ),
    "does not start": (
        "not_started",
        PLAIN,
        [(NOW, NOT_STARTED), (NOW + 290, NOT_STARTED)],
        NOW + 300,
        math.inf,
        NOW,
        "",
    ),
    "unknown": ("status_unknown", PLAIN, [(NOW, UNKNOWN), (NOW + 590, UNKNOWN)], NOW + 600, math.inf, NOW, ""),
    "a page that is refreshed": (
        *("page_refreshing", PLAIN, [(NOW, RUNNING), *(page(REFRESH, NOW + at) for at in (10, 20, 30))]),
        *(-math.inf, NOW + 910, NOW + 30, "PageFreeze"),
    ),
    "a page that is refreshed for long": (
        *("page_refreshing", PLAIN, [(NOW, RUNNING), *(page(REFRESH, NOW + 100 * at) for at in range(1, 9))]),
        *(-math.inf, NOW + 1500, NOW + 300, "PageFreeze"),
    ),
    "a task that is rescheduled": (
        *("page_rescheduling", PLAIN),
        [(NOW, RUNNING), page(RESCHEDULE, NOW + 10), page(RESCHEDULE, NOW + 20, PageReason.CRASH)],
        *(-math.inf, NOW + 910, NOW + 20, "PageCrash"),
    ),
    "no fresh read": ("stale", PLAIN, [(NOW, RUNNING), (NOW + 30, SLOW)], NOW + 120, math.inf, NOW, "timeout"),
    "never a good read": ("stale", PLAIN, [(NOW, SLOW)], NOW + 120, math.inf, NOW, "timeout"),
    "reads fail": ("read_failing", PLAIN, [(NOW, SLOW), (NOW + 30, SLOW)], NOW + 120, math.inf, NOW, "timeout"),
    "no such task": ("not_found", PLAIN, [(NOW, GONE), (NOW + 200, GONE)], NOW + 300, math.inf, NOW, "not_found"),
    "no such task for a class": (
        "not_found",
        CLASS,
        [(NOW, GONE), (NOW + 200, GONE)],
        NOW + 300,
        END,
        NOW,
        "not_found",
    ),
    "lost": (
        "not_found",
        PLAIN,
        [(NOW, RUNNING), (NOW + 60, GONE), (NOW + 300, GONE)],
        *(NOW + 360, math.inf, NOW + 60, "Lost"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_problem_holds_from_its_first_moment_to_its_last(
    case: tuple[str, Target, Sequence[Told], float, float, float, str],
) -> None:
    """Not a moment earlier or later; since when and the cause are what a person is told."""
    problem, target, events, begins, ends, since, cause = case
    state = story(target, *events)
    first = max(begins, events[-1][0])
    assert told(state, first)[problem] == (since, cause)
    if begins > -math.inf:
        assert problem not in told(state, begins - 0.001)
    if ends < math.inf:
        assert problem in told(state, ends - 0.001)
        assert problem not in told(state, ends)
    else:
        assert problem in told(state, first + 1e9)


QUIET: dict[str, tuple[Target, Sequence[Told], float]] = {
    "unread": (CLASS, [], NOW + 1000),
    "a class that runs": (CLASS, [(NOW + 60, RUNNING)], NOW + 100),
    "a class before its time": (CLASS, [(NOW, NOT_STARTED)], NOW + 119),
    "a class that ended a little early": (CLASS, [(END, stopped(END - 600, StopReason.STOP_BY_API))], END),
    "a class that ended when it should": (CLASS, [(END + 5, stopped(END, StopReason.STOP_BY_API))], END + 5),
    "a regular end": (PLAIN, [(NOW, RUNNING), (NOW + 60, stopped(NOW + 50, StopReason.STOP_BY_API))], NOW + 60),
    "a failure of yesterday that is seen for the first time": (
        PLAIN,
        [(NOW, stopped(NOW - 80_000, None, Status.FAILED, start=NOW - 84_000))],
        NOW,
    ),
    "a limit a minute short": (CLASS, [(NOW + 60, replace(RUNNING, max_running_time=3539))], NOW + 100),
    "near a limit that is after the class": (CLASS, [(END, replace(RUNNING, max_running_time=3700))], END + 90),
    "an unknown status in mid-class": (CLASS, [(NOW + 60, RUNNING), (NOW + 200, replace(UNKNOWN))], NOW + 250),
    "two refreshes": (PLAIN, [(NOW, RUNNING), page(REFRESH, NOW + 1), page(REFRESH, NOW + 2)], NOW + 2),
    "three refreshes too far apart": (
        PLAIN,
        [(NOW, RUNNING), page(REFRESH, NOW + 1), page(REFRESH, NOW + 2), page(REFRESH, NOW + 901)],
        NOW + 901 - 900 + 10,
    ),
    "refreshes of a page whose task has ended": (
        PLAIN,
        [
            (NOW, RUNNING),
            *(page(REFRESH, NOW + at) for at in (1, 2, 3)),
            (NOW + 9, stopped(NOW + 8, None, start=NOW + 1)),
        ],
        NOW + 10,
    ),
    "a read that failed once": (PLAIN, [(NOW, RUNNING), (NOW + 30, SLOW)], NOW + 31),
}


@pytest.mark.parametrize(("target", "events", "at"), QUIET.values(), ids=QUIET)
def test_nothing_is_wrong(target: Target, events: Sequence[Told], at: float) -> None:
    """What is as it should be, and what is not known, is no problem."""
    assert told(story(target, *events), at) == {}


@pytest.mark.parametrize("last", [NOT_STARTED, GONE])
def test_a_dark_class_stays_dark_while_no_read_succeeds(last: Task | ReadError) -> None:
    """Stale data and failing reads do not end it, and do not change since when it is dark."""
    state = story(CLASS, (NOW + 100, last), *((NOW + 200 + at, SLOW) for at in range(0, 3000, 30)))
    assert told(state, NOW + 3300)["class_dark"][0] == NOW
    assert "class_dark" not in told(state, END)


@pytest.mark.parametrize("last", [RUNNING, NOT_STARTED, GONE])
def test_lost_data_does_not_make_a_class_dark(last: Task | ReadError) -> None:
    """A class of which nothing is known any more when its time comes may well be on the air."""
    state = story(replace(CLASS, expected_start=NOW + 400), (NOW, last), (NOW + 30, SLOW), until=NOW + 1000)
    assert "class_dark" not in told(state, NOW + 1000)


def test_stale_data_does_not_restart_a_wait() -> None:
    """A task that hangs in not_started since before the reads failed has hung since then."""
    state = story(PLAIN, (NOW, NOT_STARTED), (NOW + 30, SLOW), (NOW + 280, NOT_STARTED))
    assert told(state, NOW + 300)["not_started"][0] == NOW


def test_a_restart_does_not_restart_a_wait() -> None:
    """The state keeps when the run was first seen."""
    before = story(PLAIN, (NOW, NOT_STARTED))
    after = accept(PLAIN, before.run, NOW + 250)
    assert told(after, NOW + 250) == {}
    after, _ = apply_read(after, ReadResult(ID, NOW + 260, NOW + 260, 0.1, NOT_STARTED))
    assert told(after, NOW + 300)["not_started"][0] == NOW


def test_a_restart_does_not_end_the_problems_of_a_stopped_class() -> None:
    """What has stopped is known from the state, without a read."""
    before = story(CLASS, (NOW + 900, stopped(NOW + 880, StopReason.OTHER, Status.FAILED)))
    assert told(accept(CLASS, before.run, NOW + 950), NOW + 950) == told(before, NOW + 950) != {}


@pytest.mark.parametrize("start", [NOW, NOW + 600], ids=["the same class", "another class"])
def test_a_restart_goes_on_with_a_dark_class_alone(start: float) -> None:
    """Not with another class that its list has in place of that one; then a read does not change since when."""
    dark = ActiveProblem(TaskProblem.CLASS_DARK, Severity.CRITICAL, NOW + 300)
    state = replace(accept(replace(CLASS, expected_start=start), None, NOW + 400), dark_before=dark)
    same = start == NOW
    assert told(state, NOW + 400) == ({"class_dark": (NOW + 300, "")} if same else {})
    state, _ = apply_read(state, ReadResult(ID, NOW + 500, NOW + 500, 0.1, NOT_STARTED))
    assert told(state, NOW + 599) == ({"class_dark": (NOW + 300, "")} if same else {})


def test_an_unknown_status_does_not_end_a_dark_class() -> None:
    """The API tells of the running task again that it did not know, and not that it runs."""
    state = story(CLASS, (NOW + 60, RUNNING), (NOW + 900, GONE), until=NOW + 940)
    state = replace(state, problems=evaluate(state, NOW + 940, THRESHOLDS)[0])
    state, _ = apply_read(state, ReadResult(ID, NOW + 940, NOW + 940, 0.1, replace(UNKNOWN, start=RUNNING.start)))
    assert told(state, NOW + 940)["class_dark"] == (NOW + 900, "status_unknown")
    state, _ = apply_read(state, ReadResult(ID, NOW + 950, NOW + 950, 0.1, RUNNING))
    assert told(state, NOW + 950) == {}


def test_a_new_run_ends_a_dark_class() -> None:
    """The class is on again."""
    state = story(
        CLASS, (NOW + 900, stopped(NOW + 880, None, Status.FAILED)), (NOW + 1000, replace(RUNNING, start=NOW + 990))
    )
    assert told(state, NOW + 1000) == {}


def test_the_worst_comes_first() -> None:
    """By severity, and in the order of the table."""
    state = story(CLASS, (NOW, NOT_STARTED), (NOW + 130, SLOW), until=NOW + 1000)
    found = evaluate(state, NOW + 1000, THRESHOLDS)[0]
    assert [active.problem for active in found] == ["class_dark", "stale", "read_failing"]
    assert [active.severity for active in found] == [Severity.CRITICAL, Severity.WARNING, Severity.INFO]


@pytest.mark.parametrize(
    ("reason", "problem"), [(None, TaskProblem.FAILED), (StopReason.START_TASK_FAILED, TaskProblem.START_FAILED)]
)
def test_a_failure_after_its_class_is_only_a_warning(reason: StopReason | None, problem: TaskProblem) -> None:
    """The class was no longer expected."""
    state = story(CLASS, (END + 10, stopped(END + 5, reason, Status.FAILED)))
    found = evaluate(state, END + 10, THRESHOLDS)[0]
    assert [(active.problem, active.severity) for active in found] == [(problem, Severity.WARNING)]


def test_every_problem_has_one_row() -> None:
    """And none is forgotten."""
    assert sorted(row.problem for row in PROBLEMS) == sorted(TaskProblem)


EVENTS = st.one_of(
    st.sampled_from([RUNNING, LIMITED, NOT_STARTED, UNKNOWN, GONE, SLOW]),
    st.builds(
        stopped,
        st.none() | st.floats(NOW, END + 100),
        st.none() | st.sampled_from(list(StopReason)),
        st.sampled_from([Status.ENDED, Status.FAILED]),
    ),
    st.builds(PageEvent, st.sampled_from(list(PageAction)), st.sampled_from(list(PageReason)), st.floats(NOW, END)),
)
TARGETS = st.builds(
    Target,
    st.just(ID),
    st.just("default"),
    expected_start=st.none() | st.floats(NOW - 1000, END),
    expected_end=st.none() | st.floats(NOW, END + 1000),
)


@given(TARGETS, st.lists(st.tuples(st.floats(0, 600), EVENTS), max_size=12), st.lists(st.floats(0, 1), min_size=1))
def test_problems_change_only_at_next_change(
    target: Target, events: list[tuple[float, Task | ReadError | PageEvent]], shares: list[float]
) -> None:
    """A reader that looks again at each such moment shows exactly what holds."""
    now, timed = NOW, []
    for wait, event in events:
        now += wait
        timed.append((now, event))
    state = accept(target, None, NOW)
    for at, event in timed:
        if isinstance(event, PageEvent):
            state, _ = apply_callback(state, Callback(ID, str(at), str(at), event.at, event), at)
        else:
            state, _ = apply_read(state, ReadResult(ID, at, at, 0.1, event))
    for _ in range(100):
        change = evaluate(state, now, THRESHOLDS)[1]
        held = evaluate(state, now, THRESHOLDS)[0]
        until = now + 1e6 if change is None else change
        assert until > now
        for share in shares:
            between = now + share * (until - now)
            if between < until:
                assert evaluate(state, between, THRESHOLDS)[0] == held
        if change is None:
            return
        now = change
    pytest.fail("time does not come to rest")
