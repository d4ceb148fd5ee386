"""What is called back of a life, and how it is written and signed."""

import hashlib
import json

import pytest

from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.lives import Ending, Life, Plan, begin, ended
from exporter.simulator.notices import Notice, envelope, event_time, notices
from exporter.simulator.page import Trouble
from exporter.simulator.settings import Settings

BORN = 1_700_000_000
WATCHED = Settings(
    freeze_check=5, blank_check=5, crash_check=2, event_notify=True, start_timeout=20, max_running_time=3600
)
STARTED = (60, 1, "")
SECRET = "my-callback-secret"


def told(life: Life) -> list[tuple[float, int, str]]:
    """Seconds after birth, Status and Reason of each notice."""
    target = TargetId("app", "Room", "Task")
    return [(notice.at / 1000 - BORN, notice.status, notice.reason) for notice in notices(target, life)]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan(WATCHED, starts=60), [STARTED, (3660, 3, "")]),
        (Plan(WATCHED, starts=60, ends=90), [STARTED, (90, 3, "")]),
        (Plan(WATCHED, starts=60, ends=90, ending=Ending.STOPPED_BY_API), [STARTED, (90, 3, "")]),
        (Plan(WATCHED, starts=60, ends=90, ending=Ending.BROKE), [STARTED, (90, 2, "")]),
        (Plan(WATCHED, starts=60, ends=60), [STARTED, (60, 3, "")]),
        (Plan(WATCHED, starts=None, ends=30, ending=Ending.START_FAILED), [(30, 2, "")]),
        (Plan(WATCHED, starts=None), []),
        (
            Plan(WATCHED, starts=60, ends=90, troubles=(Trouble(PageReason.FREEZE, 61, lasting=True),)),
            [STARTED, (71, 4, "PageFreeze"), (81, 5, "PageFreeze"), (90, 3, "")],
        ),
        (
            Plan(WATCHED, starts=60, ends=90, troubles=(Trouble(PageReason.CRASH, 61), Trouble(PageReason.BLANK, 50))),
            [STARTED, (60, 4, "PageBlank"), (63, 5, "PageCrash"), (90, 3, "")],
        ),
        (
            Plan(WATCHED, starts=60, ends=90, troubles=(Trouble(PageReason.START_TIMEOUT, 0, lasting=True),)),
            [(20, 4, " StartEventTimeout"), (40, 5, "StartEventTimeout"), STARTED, (90, 3, "")],
        ),
    ],
)
def test_a_life_tells_its_events(plan: Plan, expected: list[tuple[float, int, str]]) -> None:
    """A start is 1, page events 4 and 5 with the vendor's word, an end 3 or 2, in order; what never is, is not told."""
    assert expected == told(begin(plan, BORN))


def test_a_stopped_life_tells_no_more() -> None:
    """After a stop only its end is told; what was told until then stays the same event."""
    target = TargetId("app", "Room", "Task")
    life = begin(Plan(WATCHED, starts=60, troubles=(Trouble(PageReason.FREEZE, 70, lasting=True),)), BORN)
    stopped = ended(life, (BORN + 80) * 1000, Ending.STOPPED_BY_API)
    assert told(stopped) == [STARTED, (80, 4, "PageFreeze"), (80, 3, "")]
    assert notices(target, life)[:2] == notices(target, stopped)[:2]
    assert told(ended(life, (BORN + 30) * 1000, Ending.STOPPED_BY_API)) == [(30, 3, "")]


def test_every_event_has_an_id_of_its_own() -> None:
    """EventIds are the same each time, and differ between tasks, lives, events, and two events that are all alike."""
    plan = Plan(WATCHED, ends=90, troubles=(Trouble(PageReason.CRASH, 61), Trouble(PageReason.CRASH, 61)))
    tasks = [TargetId("app", "Room", name) for name in ("a", "b")]
    lives = [begin(plan, BORN), begin(plan, BORN + 0.001)]
    ids = [notice.event_id for task in tasks for life in lives for notice in notices(task, life)]
    assert (len(ids), len(set(ids))) == (16, 16)
    assert ids == [notice.event_id for task in tasks for life in lives for notice in notices(task, life)]


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
    body = json.loads(envelope(Notice(target, 1768465805000, 5, "PageCrash", "evt-0001"), SECRET, "4821"))
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
    """SHA-256 over the sorted values and the secret, computed here anew; the type and the reason are as given."""
    notice = Notice(target, 1768465805250, 4, " StartEventTimeout", "evt-2")
    body = json.loads(envelope(notice, SECRET, "0007", event_type="WebcastTask"))
    signature = body.pop("Signature")
    joined = "".join(sorted([*body.values(), SECRET])).encode()
    assert hashlib.sha256(joined).hexdigest() == signature
    assert (body["EventType"], json.loads(body["EventData"])["Reason"]) == ("WebcastTask", " StartEventTimeout")


def test_no_reason_is_left_out(target: TargetId) -> None:
    """An event without a reason has no such key."""
    body = json.loads(envelope(Notice(target, 0, 1, "", "evt-3"), SECRET, "0000"))
    assert list(json.loads(body["EventData"])) == ["AppId", "BusinessId", "RoomId", "TaskId", "Status"]
