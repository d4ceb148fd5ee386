"""What really happened, held against one who watches closely."""

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.enums import Status, StopReason
from exporter.model.target import TargetId
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Ending, Plan, document
from exporter.simulator.settings import Settings
from exporter.simulator.truth import (
    page_event_counts,
    status_counts,
    stop_counts,
    stopped_lives,
    targets_document,
    truth_document,
)
from exporter.volcengine.replies import parse_reply

BORN = 1_700_000_000.0
STEP = 50


def watch(fleet: Fleet, seconds: int) -> tuple[Counter[Status], set[tuple[TargetId, float | None, StopReason | None]]]:
    """Poll every task every 50 ms: the last statuses, and every end that was seen."""
    statuses: Counter[Status] = Counter()
    ends = set()
    for at in range(round(BORN * 1000), round((BORN + seconds) * 1000) + 1, STEP):
        statuses.clear()
        for target in fleet.targets():
            life = fleet.life(target, at)
            assert life is not None
            task = parse_reply({"Result": {"WebcastTask": document(life, at)}}).task
            statuses[task.status] += 1
            if task.status.stopped:
                ends.add((target, task.end, task.stop_reason))
    return statuses, ends


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_truth_is_what_a_close_watcher_counts(seed: int) -> None:
    """Polling at fine steps sees each end once, by the truth's reason, and the truth's statuses at the end."""
    fleet = Fleet.demo(13, 300.0, seed, lambda: BORN)
    statuses, ends = watch(fleet, 15)
    now = round((BORN + 15) * 1000)
    assert status_counts(fleet, now) == {status: statuses[status] for status in Status}
    seen = Counter(reason for _, _, reason in ends)
    assert stop_counts(fleet, now) == {reason: seen[reason] for reason in stop_counts(fleet, now)}
    assert len(stopped_lives(fleet, now)) == len(ends)


def test_truth_counts_from_nothing() -> None:
    """Without a task every status and every reason is there, at zero."""
    fleet = Fleet(lambda: BORN)
    now = round(BORN * 1000)
    assert dict.fromkeys(Status, 0) == status_counts(fleet, now)
    assert list(stop_counts(fleet, now).values()) == [0] * 5


def test_an_end_counts_from_its_own_millisecond(target: TargetId) -> None:
    """A life that ends at a time is over at that time, and not a millisecond before."""
    fleet = Fleet(lambda: BORN)
    end = fleet.begin(target, Plan(ends=20)).end or 0
    assert [len(stopped_lives(fleet, at)) for at in (end - 1, end)] == [0, 1]


def test_page_events_are_counted_once_they_happened() -> None:
    """Events are counted by callback Status and Reason, not before their time."""
    fleet = Fleet.demo(13, 60.0, 1, lambda: BORN)
    counts = [sum(page_event_counts(fleet, round((BORN + after) * 1000)).values()) for after in (0, 600)]
    assert counts[0] < counts[1]
    assert {(4, "PageFreeze"), (5, "PageCrash"), (4, "PageBlank"), (4, "StartEventTimeout")} <= page_event_counts(
        fleet, round((BORN + 600) * 1000)
    ).keys()


def test_the_document_tells_all_but_the_source_url(target: TargetId) -> None:
    """`/truth` has each task's state in seconds and the counts; no SourceURL."""
    fleet = Fleet(lambda: BORN)
    plan = Plan(Settings(source_url="https://a.example/?token=canary"), ends=20, ending=Ending.STOPPED_BY_API)
    fleet.begin(target, plan, age=60)
    told = truth_document(fleet, BORN)
    assert {str(target): {"status": "ended", "reason": "StopByAPI", "start": BORN - 60, "end": BORN - 40}} == told[
        "tasks"
    ]
    assert told["stops"]["StopByAPI"] == 1
    assert told["statuses"]["ended"] == 1
    assert "canary" not in json.dumps(told)


def test_the_target_list_is_http_sd() -> None:
    """`/targets` is the list that Prometheus's http_sd reads: one group a task, with its labels."""
    fleet = Fleet.demo(2, 60.0, 1, lambda: BORN)
    expected = [
        {"targets": ["661e0000000000000000543c/Room1/Task1"], "labels": {"team": "maths"}},
        {"targets": ["661e0000000000000000543c/Room2/Task2"], "labels": {"team": "music"}},
    ]
    assert expected == targets_document(fleet)
