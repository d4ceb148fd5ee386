"""A task's settings and runs, and what the vendor says of them."""

import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.enums import STOPPED_STATUSES, VENDOR_PAGE_REASONS, PageReason, Status
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import (
    CallbackEvent,
    Ending,
    PageRemedy,
    PageTrouble,
    RunPlan,
    RunState,
    SimulatedRun,
    TaskSettings,
    VideoSolution,
    begin_run,
    callback_events,
    callback_payload,
    compressed,
    end_run,
    event_time,
    queryable,
    read_settings,
    remedies,
    run_state,
    task_document,
)
from exporter.volcengine.replies import parse_reply

BORN = 1_700_000_000
HOUR = TaskSettings(max_running_time=3600)
FAILED = Ending.START_FAILED


def seconds(count: float) -> int:
    """So many seconds after creation, in Unix milliseconds."""
    return round((BORN + count) * 1000)


@pytest.mark.parametrize(
    ("plan", "after", "expected"),
    [
        ({"starts": 60}, 59.9, (Status.NOT_STARTED, "", None, None)),
        ({"starts": 60}, 60, (Status.RUNNING, "", 60, None)),
        ({"starts": 60}, 3659.999, (Status.RUNNING, "", 60, None)),
        ({"starts": 60}, 3660, (Status.ENDED, "ExceedMaxRunningTime", 60, 3660)),
        ({"starts": 60, "ends": 7200}, 9999, (Status.ENDED, "ExceedMaxRunningTime", 60, 3660)),
        ({"starts": 60, "ends": 90}, 90, (Status.ENDED, "", 60, 90)),
        ({"starts": 60, "ends": 90, "ending": Ending.STOPPED_BY_API}, 90, (Status.ENDED, "StopByAPI", 60, 90)),
        ({"starts": 60, "ends": 90, "ending": Ending.BROKE}, 1e6, (Status.FAILED, "UnknownStopReason", 60, 90)),
        ({"starts": None, "ends": 30, "ending": FAILED}, 30, (Status.FAILED, "StartTaskFailed", None, 30)),
        ({"starts": 20, "ends": 30, "ending": FAILED}, 30, (Status.FAILED, "StartTaskFailed", 20, 30)),
        ({"starts": 60, "unknown": ((70, 80),)}, 75, (Status.UNKNOWN, "", 60, None)),
        ({"starts": 60, "unknown": ((70, 80),)}, 80, (Status.RUNNING, "", 60, None)),
        ({"starts": 60, "unknown": ((10, 80),)}, 20, (Status.UNKNOWN, "", None, None)),
        ({"starts": 60, "ends": 75, "unknown": ((70, 80),)}, 76, (Status.ENDED, "", 60, 75)),
        ({"starts": None}, 1e9, (Status.NOT_STARTED, "", None, None)),
    ],
)
def test_a_run_is_its_plan(plan: dict[str, Any], after: float, expected: tuple[Any, ...]) -> None:
    """Each plan gives the API page's Status, StopReason and times at each time (here in seconds after creation)."""
    status, reason, *times = expected
    state = run_state(begin_run(RunPlan(HOUR, **plan), BORN), seconds(after))
    assert state == (status, reason, *(0 if time is None else seconds(time) for time in times))


def test_a_faster_run_tells_consistent_numbers() -> None:
    """Sixty times faster, MaxRunningTime is compressed with the run: it still ends at StartTime + MaxRunningTime."""
    run = begin_run(RunPlan(HOUR, starts=60), BORN, speed=60)
    told = task_document(run, seconds(62))
    assert (60, seconds(1), seconds(61)) == (told["MaxRunningTime"], told["StartTime"], told["EndTime"])


def test_a_stop_cancels_the_future() -> None:
    """What is stopped before its start never started, and page events after the end never happen."""
    plan = RunPlan(
        TaskSettings(freeze_check=5), starts=60, troubles=(PageTrouble(PageReason.FREEZE, 70, lasting=True),)
    )
    run = begin_run(plan, BORN)
    assert [PageRemedy(seconds(80), 4, PageReason.FREEZE), PageRemedy(seconds(90), 5, PageReason.FREEZE)] == list(
        run.remedies
    )
    assert run.remedies[:1] == end_run(run, seconds(85), Ending.STOPPED_BY_API).remedies
    early = end_run(run, seconds(30), Ending.STOPPED_BY_API)
    assert RunState(Status.ENDED, "StopByAPI", 0, seconds(30)) == run_state(early, seconds(40))


@pytest.mark.parametrize(("starts", "since"), [(60, 60), (None, 0)])
def test_a_task_is_found_for_72_hours(starts: float | None, since: float) -> None:
    """The API page: only tasks started within the last 72 hours; one that never started counts from its creation."""
    run = begin_run(RunPlan(HOUR, starts=starts, ends=100, ending=Ending.START_FAILED), BORN)
    asked = since + 72 * 3600
    assert [queryable(run, seconds(asked)), queryable(run, seconds(asked) + 1)] == [True, False]


PLANS = st.builds(
    RunPlan,
    settings=st.integers(10, 400).map(lambda limit: TaskSettings(max_running_time=limit)),
    starts=st.one_of(st.none(), st.floats(0, 200)),
    ends=st.one_of(st.none(), st.floats(0, 600)),
    ending=st.sampled_from(Ending),
    unknown=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), max_size=3).map(tuple),
)
ORDER = {Status.NOT_STARTED: 0, Status.RUNNING: 1, Status.ENDED: 2, Status.FAILED: 2}


@settings(deadline=None)
@given(plan=PLANS, times=st.lists(st.integers(0, 900_000), min_size=2, max_size=30).map(sorted))
def test_a_run_only_moves_forward(plan: RunPlan, times: list[int]) -> None:
    """Not started, running, over: never back, and what is over never changes; unknown comes only while it is live."""
    seen = [run_state(begin_run(plan, BORN), BORN * 1000 + after) for after in times]
    known = [ORDER[state.status] for state in seen if state.status is not Status.UNKNOWN]
    assert sorted(known) == known
    for earlier, later in pairwise(seen):
        if earlier.status in STOPPED_STATUSES:
            assert earlier == later


@settings(deadline=None)
@given(plan=PLANS, after=st.integers(0, 900_000), speed=st.sampled_from([0.5, 1.0, 7.0, 60.0]))
def test_every_moment_is_as_documented(plan: RunPlan, after: int, speed: float) -> None:
    """The model accepts what a run tells and says the same of it; it finds odd only an end without a start."""
    run: SimulatedRun = begin_run(plan, BORN, speed)
    at = BORN * 1000 + after
    state = run_state(run, at)
    reply = parse_reply({"Result": {"WebcastTask": task_document(run, at)}})
    never_ran = state.status is Status.ENDED and not state.start
    assert (("StartTime",) if never_ran else ()) == reply.unexpected
    assert (state.status, state.start or None, state.end or None) == (
        reply.task.status,
        reply.task.start and round(reply.task.start * 1000),
        reply.task.end and round(reply.task.end * 1000),
    )
    assert 10 <= run.settings.max_running_time <= 86_400
    if run.start is not None and run.end is not None:
        assert run.start <= run.end <= run.start + run.settings.max_running_time * 1000


CHECKED = TaskSettings(freeze_check=5, blank_check=3, crash_check=7, event_notify=True, start_timeout=20)


@pytest.mark.parametrize(
    ("reason", "lasting", "expected"),
    [
        (PageReason.FREEZE, False, [(10_000, 4)]),
        (PageReason.FREEZE, True, [(10_000, 4), (20_000, 5)]),
        (PageReason.BLANK, True, [(6_000, 4), (12_000, 5)]),
        (PageReason.CRASH, False, [(7_000, 5)]),
        (PageReason.CRASH, True, [(7_000, 5)]),
        (PageReason.START_TIMEOUT, False, [(20_000, 4)]),
        (PageReason.START_TIMEOUT, True, [(20_000, 4), (40_000, 5)]),
    ],
)
def test_two_hits_refresh_two_more_reschedule(
    *, reason: PageReason, lasting: bool, expected: list[tuple[int, int]]
) -> None:
    """Two hits in a row refresh (4), two more reschedule (5); a crash reschedules at once; a timeout at each."""
    events = remedies(PageTrouble(reason, 0, lasting=lasting), 1000, CHECKED)
    assert [PageRemedy(1000 + after, status, reason) for after, status in expected] == list(events)


@pytest.mark.parametrize("reason", VENDOR_PAGE_REASONS.values())
def test_a_check_that_is_off_sees_nothing(reason: PageReason) -> None:
    """An interval of 0 switches the check off: no refresh, no callback."""
    assert remedies(PageTrouble(reason, 0, lasting=True), 1000, TaskSettings()) == ()


NEEDED = {"UserId": "webcast_1", "SourceURL": "https://classroom.example.com/live"}


def test_what_is_left_out_has_the_seed_pages_default() -> None:
    """Defaults of the API page: 1280x720 at 15, adaptive, one day, all checks off."""
    assert read_settings(NEEDED) == TaskSettings(
        "webcast_1", NEEDED["SourceURL"], (VideoSolution(1280, 720, 15, 0),), 86_400, 0, 0, 0
    )


def test_all_that_is_said_is_kept() -> None:
    """Every field arrives."""
    body = {
        **NEEDED,
        "VideoSolutions": [{"Width": 1920, "Height": 1080, "FrameRate": 60, "Bitrate": 10_000}, {}],
        "MaxRunningTime": 10,
        "MonitorConfig": {"FreezeCheckInterval": 2, "BlankCheckInterval": 30, "CrashCheckInterval": 1},
        "EventNotifyConfig": {"EnableEventNotify": True, "StartTimeout": 60},
    }
    expected = TaskSettings(
        user_id="webcast_1",
        source_url=NEEDED["SourceURL"],
        video=(VideoSolution(1920, 1080, 60, 10_000), VideoSolution()),
        max_running_time=10,
        freeze_check=2,
        blank_check=30,
        crash_check=1,
        event_notify=True,
        start_timeout=60,
    )
    assert expected == read_settings(body)


@pytest.mark.parametrize(
    "change",
    [
        {"UserId": None},
        {"SourceURL": ""},
        {"MaxRunningTime": "a minute"},
        {"MaxRunningTime": float("inf")},
        {"VideoSolutions": [1]},
        {"VideoSolutions": 7},
        {"MonitorConfig": [1]},
        {"EventNotifyConfig": {"StartTimeout": {"Seconds": 1}}},
    ],
)
def test_what_has_another_shape_is_refused(change: dict[str, Any]) -> None:
    """The simulator reads what can be read, and refuses what is no parameter."""
    with pytest.raises(ValueError, match=r"missing or malformed|invalid literal"):
        read_settings({**NEEDED, **change})


@pytest.mark.parametrize(
    ("limit", "speed", "expected"), [(3600, 60, 60), (3601, 60, 61), (60, 60, 10), (86_400, 0.5, 86_400)]
)
def test_compression_rounds_up_and_stays_in_range(limit: int, speed: float, expected: int) -> None:
    """A compressed limit is never shorter than the run it bounds, and within [10, 86400]."""
    assert expected == compressed(TaskSettings(max_running_time=limit), speed).max_running_time


def test_the_source_url_is_in_no_repr() -> None:
    """SourceURL may carry authentication: no repr shows it."""
    assert "canary" not in repr(TaskSettings(source_url="https://a.example/?token=canary"))


WATCHED = TaskSettings(
    freeze_check=5, blank_check=5, crash_check=2, event_notify=True, start_timeout=20, max_running_time=3600
)
STARTED = (60, 1, "")
CRASH = PageTrouble(PageReason.CRASH, 61)
SECRET = "my-callback-secret"


def told(run: SimulatedRun) -> list[tuple[float, int, str]]:
    """Seconds after creation, Status and Reason of each event."""
    target = TargetId("app", "Room", "Task")
    return [(event.at / 1000 - BORN, event.status, event.reason) for event in callback_events(target, run)]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (RunPlan(WATCHED, starts=60), [STARTED, (3660, 3, "")]),
        (RunPlan(WATCHED, starts=60, ends=90), [STARTED, (90, 3, "")]),
        (RunPlan(WATCHED, starts=60, ends=90, ending=Ending.STOPPED_BY_API), [STARTED, (90, 3, "")]),
        (RunPlan(WATCHED, starts=60, ends=90, ending=Ending.BROKE), [STARTED, (90, 2, "")]),
        (RunPlan(WATCHED, starts=60, ends=60), [STARTED, (60, 3, "")]),
        (RunPlan(WATCHED, starts=None, ends=30, ending=Ending.START_FAILED), [(30, 2, "")]),
        (RunPlan(WATCHED, starts=None), []),
        (
            RunPlan(WATCHED, starts=60, ends=90, troubles=(PageTrouble(PageReason.FREEZE, 61, lasting=True),)),
            [STARTED, (71, 4, "PageFreeze"), (81, 5, "PageFreeze"), (90, 3, "")],
        ),
        (
            RunPlan(WATCHED, starts=60, ends=90, troubles=(CRASH, PageTrouble(PageReason.BLANK, 50))),
            [STARTED, (60, 4, "PageBlank"), (63, 5, "PageCrash"), (90, 3, "")],
        ),
        (
            RunPlan(WATCHED, starts=60, ends=90, troubles=(PageTrouble(PageReason.START_TIMEOUT, 0, lasting=True),)),
            [(20, 4, " StartEventTimeout"), (40, 5, "StartEventTimeout"), STARTED, (90, 3, "")],
        ),
    ],
)
def test_a_run_tells_its_events(plan: RunPlan, expected: list[tuple[float, int, str]]) -> None:
    """A start is 1, page events 4 and 5 with the vendor's word, an end 3 or 2, in order; what never is, is not told."""
    assert expected == told(begin_run(plan, BORN))


def test_a_stopped_run_tells_no_more() -> None:
    """After a stop only its end is told; what was told until then stays the same event."""
    target = TargetId("app", "Room", "Task")
    run = begin_run(RunPlan(WATCHED, starts=60, troubles=(PageTrouble(PageReason.FREEZE, 70, lasting=True),)), BORN)
    stopped = end_run(run, (BORN + 80) * 1000, Ending.STOPPED_BY_API)
    assert told(stopped) == [STARTED, (80, 4, "PageFreeze"), (80, 3, "")]
    assert callback_events(target, run)[:2] == callback_events(target, stopped)[:2]
    assert told(end_run(run, (BORN + 30) * 1000, Ending.STOPPED_BY_API)) == [(30, 3, "")]


def test_every_event_has_an_id_of_its_own() -> None:
    """EventIds are the same each time, and differ between tasks, runs, events, and two events that are all alike."""
    plan = RunPlan(WATCHED, ends=90, troubles=(CRASH, CRASH))
    tasks = [TargetId("app", "Room", name) for name in ("a", "b")]
    runs = [begin_run(plan, BORN), begin_run(plan, BORN + 0.001)]
    ids = [event.event_id for task in tasks for run in runs for event in callback_events(task, run)]
    assert (len(ids), len(set(ids))) == (16, 16)
    assert ids == [event.event_id for task in tasks for run in runs for event in callback_events(task, run)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (1768465805000, "2026-01-15T08:30:05Z"),
        (1768465805250, "2026-01-15T08:30:05.250Z"),
        (1768465805007, "2026-01-15T08:30:05.007Z"),
        (1768465805999, "2026-01-15T08:30:05.999Z"),
    ],
)
def test_event_times_are_utc(at: int, expected: str) -> None:
    """RFC 3339, to the millisecond when it is not a whole second."""
    assert expected == event_time(at)


def test_the_worked_example(target: TargetId) -> None:
    """The body of the worked example (api-facts, section 5) to the letter, its signature included."""
    body = json.loads(
        callback_payload(CallbackEvent(target, 1768465805000, 5, "PageCrash", "evt-0001"), SECRET, "4821")
    )
    assert body == {
        "EventType": "Webcast",
        "EventData": (
            '{"AppId":"661e0000000000000000543c","BusinessId":"","RoomId":"Room1","TaskId":"Task1",'
            '"Status":5,"Reason":"PageCrash"}'
        ),
        "EventTime": "2026-01-15T08:30:05Z",
        "EventId": "evt-0001",
        "AppId": "661e0000000000000000543c",
        "Version": "2020-12-01",
        "Signature": "3b928346a9b9f2ec17d0ada0c17205b9e5d6774c11ef0306bf55cd6d2946a7d0",
        "Nonce": "4821",
    }


def test_the_signature_is_over_what_is_sent(target: TargetId) -> None:
    """SHA-256 over the sorted values and the secret, computed anew; the reason is as given, none is no key."""
    event = CallbackEvent(target, 1768465805250, 4, " StartEventTimeout", "evt-2")
    body = json.loads(callback_payload(event, SECRET, "0007", event_type="WebcastTask"))
    signature = body.pop("Signature")
    joined = "".join(sorted([*body.values(), SECRET])).encode()
    assert hashlib.sha256(joined).hexdigest() == signature
    assert (body["EventType"], json.loads(body["EventData"])["Reason"]) == ("WebcastTask", " StartEventTimeout")
    without_reason = json.loads(callback_payload(CallbackEvent(target, 0, 1, "", "evt-3"), SECRET, "0000"))
    assert list(json.loads(without_reason["EventData"])) == ["AppId", "BusinessId", "RoomId", "TaskId", "Status"]
