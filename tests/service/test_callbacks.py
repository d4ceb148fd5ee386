"""Callbacks at a running exporter, over HTTP: what they count, what they start, what they survive."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from exporter.errors import ConfigError, StartError
from exporter.model.target import TargetId
from exporter.service.target_manager import OVER_LIMIT
from exporter.simulator.lifecycle import CallbackEvent, RunPlan, callback_payload
from exporter.volcengine.callbacks import event_signature
from exporter.web.server import bind
from tests.support.exposition import Samples
from tests.support.small_world import APP, Served, World, samples, text
from tests.support.waiting import wait_until

SECRET, NEXT = "canary-in-the-callback-secret", "canary-in-the-next-secret"
EVENTS = "webcast_callback_events_total"
STARTED, REFRESHED, RESCHEDULED, ENDED = 1, 4, 5, 3


def fields_of(notice: CallbackEvent) -> dict[str, str]:
    return {
        name: value
        for name, value in json.loads(callback_payload(notice, SECRET, "4821")).items()
        if name != "Signature"
    }


def signed(fields: dict[str, str]) -> bytes:
    """A body with these fields, signed as the vendor signs."""
    return json.dumps({**fields, "Signature": event_signature(fields.values(), SECRET)}).encode()


class Vendor(Served):
    """An exporter that takes callbacks, and the vendor that calls it back."""

    def __init__(self, world: World) -> None:
        self._events = 0
        (world.folder / "secret").write_text(f"{SECRET}\n")
        world.write(callbacks={"secret_file": "secret"})
        super().__init__(world)

    def notice(self, target: TargetId, status: int, reason: str = "", age: float = 0.0) -> CallbackEvent:
        """A new event, `age` seconds old."""
        self._events += 1
        at = round((self.world.shift.unix() - age) * 1000)
        return CallbackEvent(target, at, status, reason, f"evt-{self._events}")

    def deliver(self, notice: CallbackEvent, secret: str = SECRET, **more: Any) -> int:
        """One delivery; the HTTP status."""
        return self.post(callback_payload(notice, secret, "4821", **more))

    def post(self, body: bytes, url: str | None = None) -> int:
        """Any body, to the main listener or another one."""
        client = self.client
        return client.post(f"{url or ''}/callback", content=body).status_code

    def call(self, target: TargetId, status: int, reason: str = "", age: float = 0.0) -> CallbackEvent:
        """A new event, delivered with good success."""
        notice = self.notice(target, status, reason, age)
        assert self.deliver(notice) == 200
        return notice

    def outcomes(self) -> dict[str, float]:
        """How many callbacks became what; what is zero left out."""
        return {outcome: count for (outcome,), count in self.shown(EVENTS).items() if count}

    def shown(self, name: str) -> Samples:
        """One family of a scrape."""
        return samples(self.exporter, name)

    def of(self, name: str, task: str) -> dict[tuple[str, ...], float]:
        """One task's samples of a family, by the labels of its own."""
        return {
            tuple(value for value in labels if value not in (APP, "Room", task)): value
            for labels, value in self.shown(name).items()
            if task in labels
        }

    def pages(self) -> dict[tuple[str, ...], float]:
        """The fleet's page counters that are not zero."""
        return {
            (kind, *labels): value
            for kind in ("refreshes", "reschedules")
            for labels, value in self.shown(f"webcast_page_{kind}_total").items()
            if value
        }

    def sources(self) -> dict[str, list[str]]:
        """Every target, with its sources."""
        targets = self.client.get("/api/v1/targets").json()["data"]["targets"]
        return {each["target"].rpartition("/")[2]: each["sources"] for each in targets}

    def until(self, task: str, status: str) -> None:
        """Wait until a task is shown in a state."""
        wait_until(lambda: self.of("webcast_task_status", task).get((status,)) == 1, f"{task} is {status}")


@pytest.fixture
def vendor(world: World) -> Iterator[Vendor]:
    made = Vendor(world)
    yield made
    made.stop()


def test_a_callback_makes_its_task_a_target_that_is_read_at_once(vendor: Vendor) -> None:
    """No source listed it; it counts under its source from then on, and its first read does not wait for a round."""
    vendor.world.write(polling={"interval": "1h", "fast_interval": "1h"})
    vendor.exporter.reload()
    vendor.call(vendor.world.task("task"), STARTED)
    assert vendor.sources() == {"task": ["callback"]}
    assert vendor.shown("webcast_targets")["callback",] == 1
    vendor.until("task", "running")
    assert vendor.outcomes() == {"accepted": 1}


def test_page_events_count_for_the_fleet_and_for_the_run(vendor: Vendor) -> None:
    """By reason; the task shows how often and when last, by the event's own time."""
    task = vendor.world.task("task")
    vendor.call(task, REFRESHED, " StartEventTimeout", age=50)
    vendor.call(task, REFRESHED, "PageFreeze", age=30)
    last = vendor.call(task, RESCHEDULED, "PageFreeze", age=20)
    assert vendor.pages() == {
        ("refreshes", APP, "StartEventTimeout"): 1,
        ("refreshes", APP, "PageFreeze"): 1,
        ("reschedules", APP, "PageFreeze"): 1,
    }
    vendor.until("task", "running")
    assert vendor.of("webcast_task_page_refreshes_total", "task") == {(): 2}
    assert vendor.of("webcast_task_page_reschedules_total", "task") == {(): 1}
    times = vendor.of("webcast_task_last_page_event_timestamp_seconds", "task")
    assert times["reschedule", "PageFreeze"] == last.at / 1000
    assert len(times) == 3


def test_an_event_counts_once_however_often_it_comes(vendor: Vendor) -> None:
    """Delivered three times, over a restart, and with its values in other places: a duplicate, answered with 200."""
    task = vendor.world.task("task")
    notice = vendor.call(task, RESCHEDULED, "PageCrash")
    body = json.loads(callback_payload(notice, SECRET, "4821"))
    exchanged = {**body, "EventId": body["Nonce"], "Nonce": body["EventId"]}
    assert [vendor.deliver(notice), vendor.post(json.dumps(exchanged).encode())] == [200, 200]
    assert vendor.outcomes() == {"accepted": 1, "duplicate": 2}
    vendor.restart()
    assert vendor.deliver(notice) == 200
    assert (vendor.outcomes(), sum(vendor.pages().values())) == ({"duplicate": 1}, 1)


def test_what_is_not_taken_counts_nothing(vendor: Vendor) -> None:
    """A bad signature, another event, an old one, nonsense: each with its answer, and no target comes of it."""
    task = vendor.world.task("task")
    assert vendor.deliver(vendor.notice(task, RESCHEDULED, "PageCrash"), secret="wrong") == 401
    assert vendor.deliver(vendor.notice(task, RESCHEDULED, "PageCrash"), event_type="RecordStarted") == 200
    assert vendor.deliver(vendor.notice(task, RESCHEDULED, "PageCrash", age=1000)) == 200
    assert vendor.deliver(vendor.notice(TargetId(APP, "Room", "a/b"), STARTED)) == 400
    assert vendor.post(b"nonsense") == 400
    assert vendor.outcomes() == {"bad_signature": 1, "ignored": 1, "stale": 1, "malformed": 2}
    assert (vendor.pages(), vendor.sources()) == ({}, {})


def test_an_ignored_event_is_told_once_by_its_name(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """So that a wrong `event_types` is found out; a name with a line break in it makes no second line."""
    task = vendor.world.task("task")
    for event_type in ("RecordStarted", "RecordStarted", "Odd\nName"):
        vendor.deliver(vendor.notice(task, STARTED), event_type=event_type)
    logs = [message for message in caplog.messages if "ignored" in message]
    reason = "reason=its EventType is none of callbacks.event_types"
    assert logs == [
        f"callback ignored event_type=RecordStarted app_id= {reason}",
        f"callback ignored event_type=Odd\nName app_id= {reason}",
    ]


def test_a_stale_event_is_told_once_for_each_app(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """A clock that is wrong, or a time zone that is, would lose every event without a word."""
    task = vendor.world.task("task")
    for _ in range(2):
        assert vendor.deliver(vendor.notice(task, RESCHEDULED, "PageCrash", age=-8 * 3600)) == 200
    logs = [message for message in caplog.messages if message.startswith("callback stale")]
    assert len(logs) == 1
    assert logs[0].startswith(f"callback stale event_type=Webcast app_id={APP} reason=its EventTime is ")
    assert logs[0].endswith("ahead of this machine's clock, more than callbacks.max_age; is one of them wrong?")
    assert vendor.outcomes() == {"stale": 2}


def test_an_app_that_no_account_reads_is_ignored(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """Its secret may be good all the same; the log names the app."""
    vendor.world.write(accounts=[vendor.world.account(app_ids=[APP])])
    vendor.exporter.reload()
    vendor.call(TargetId("another", "Room", "task"), RESCHEDULED, "PageCrash")
    assert (vendor.outcomes(), vendor.pages(), vendor.sources()) == ({"ignored": 1}, {}, {})
    event = "callback ignored event_type=Webcast app_id=another reason=no account reads its app"
    assert event in caplog.messages


def test_a_task_beyond_the_limits_of_all_lists_is_ignored(
    vendor: Vendor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says why; the vendor need not send it again."""
    monkeypatch.setattr("exporter.discovery.merge.MAX_TARGETS", 0)
    vendor.call(vendor.world.task("task"), RESCHEDULED, "PageCrash")
    assert (vendor.outcomes(), vendor.sources()) == ({"ignored": 1}, {})
    assert f"reason=there are {OVER_LIMIT}" in caplog.text


def test_each_malformed_callback_is_logged_with_its_field(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """A person who sets callbacks up sees which field is wrong; no value is repeated."""
    target = vendor.world.task("task")
    bad_ids = vendor.notice(TargetId(APP, "Room", "canary/b"), STARTED)
    assert [vendor.deliver(bad_ids), vendor.deliver(bad_ids), vendor.post(b"{}canary")] == [400, 400, 400]
    assert vendor.deliver(replace(vendor.notice(target, STARTED), event_id="")) == 400
    logged = [message for message in caplog.messages if message.startswith("callback malformed")]
    fields = [message.partition(" field=")[2].partition(" ")[0] for message in logged]
    assert fields == ["EventData", "EventData", "body", "EventId"]
    assert "canary" not in "".join(logged)


def test_a_callback_with_a_bad_time_counts_at_its_arrival(vendor: Vendor) -> None:
    """The event is not lost for its time; the field is named."""
    task = vendor.world.task("task")
    vendor.post(signed({**fields_of(vendor.notice(task, RESCHEDULED, "PageCrash")), "EventTime": "soon"}))
    assert vendor.outcomes() == {"accepted": 1}
    assert vendor.pages() == {("reschedules", APP, "PageCrash"): 1}
    assert vendor.shown("webcast_api_unexpected_values_total")["EventTime",] == 1


def test_the_event_type_is_compared_without_case(vendor: Vendor) -> None:
    """The vendor itself writes both WebCast and Webcast."""
    for event_type in ("WebCast", "webcast", "WEBCAST"):
        vendor.deliver(vendor.notice(vendor.world.task(event_type), STARTED), event_type=event_type)
    assert vendor.outcomes() == {"accepted": 3}


def test_a_room_event_of_its_robot_has_a_live_task_read_at_once(vendor: Vendor) -> None:
    """The end is seen long before the interval is over, even where WebCast's own EventType is not known."""
    task = vendor.world.task("task")
    vendor.world.write(polling={"interval": "1h", "fast_interval": "1s"}, static_configs=vendor.world.lists(task))
    vendor.exporter.reload()
    vendor.until("task", "running")
    user_id = next(state.user_id for state in vendor.exporter._components.registry.all())
    left = {**fields_of(vendor.notice(task, STARTED)), "EventType": "invisibleUserLeaveRoom"}
    for room_id, user in (("Room", "a-student"), ("Elsewhere", user_id)):
        data = json.dumps({"RoomId": room_id, "UserId": user, "Timestamp": 1, "Reason": "userLeave"})
        vendor.post(signed({**left, "EventData": data}))
    assert vendor.outcomes() == {"ignored": 2}
    vendor.world.shift.seconds += 2
    vendor.world.simulation.fleet.stop(task)
    vendor.post(signed({**left, "EventData": json.dumps({"RoomId": "Room", "UserId": user_id})}))
    vendor.until("task", "ended")
    assert vendor.outcomes() == {"accepted": 1, "ignored": 2}
    assert vendor.post(signed({**left, "EventData": json.dumps({"RoomId": "Room"})})) == 400


def test_undocumented_values_are_counted(vendor: Vendor) -> None:
    """The event is taken; the field is named."""
    vendor.call(vendor.world.task("task"), 77)
    vendor.call(vendor.world.task("other"), REFRESHED, "PageMelt")
    unexpected = vendor.shown("webcast_api_unexpected_values_total")
    assert (unexpected["EventData.Status",], unexpected["EventData.Reason",]) == (1, 1)
    assert vendor.pages() == {("refreshes", APP, "Other"): 1}


def test_the_end_is_seen_at_once(vendor: Vendor) -> None:
    """Read again because of the callback, long before its turn; the target goes when its linger is over."""
    vendor.world.write(polling={"interval": "1h", "fast_interval": "1s"})
    vendor.exporter.reload()
    task = vendor.world.task("task")
    vendor.call(task, STARTED)
    vendor.until("task", "running")
    vendor.world.shift.seconds += 2
    vendor.world.simulation.fleet.stop(task)
    vendor.call(task, ENDED)
    vendor.until("task", "ended")
    assert vendor.shown("webcast_run_stops_total")[APP, "StopByAPI"] == 1
    vendor.world.shift.seconds += 15 * 60 + 1
    wait_until(lambda: vendor.sources() == {}, "it is gone")
    assert vendor.shown("webcast_targets")["callback",] == 0


def test_a_new_run_has_page_counters_of_its_own(vendor: Vendor) -> None:
    """An event between the old run's end and the first read of the new one is the new one's."""
    vendor.world.write(polling={"interval": "1h", "fast_interval": "1s"})
    vendor.exporter.reload()
    task = vendor.world.task("task")
    vendor.call(task, REFRESHED, "PageBlank")
    vendor.until("task", "running")
    vendor.world.shift.seconds += 2
    vendor.world.simulation.fleet.stop(task)
    vendor.call(task, ENDED)
    vendor.until("task", "ended")
    assert vendor.of("webcast_task_page_refreshes_total", "task") == {(): 1}
    vendor.world.shift.seconds += 10
    vendor.world.simulation.fleet.begin(task, RunPlan())
    vendor.call(task, RESCHEDULED, "PageCrash")
    vendor.until("task", "running")
    assert vendor.of("webcast_task_page_refreshes_total", "task") == {(): 0}
    assert vendor.of("webcast_task_page_reschedules_total", "task") == {(): 1}
    assert list(vendor.of("webcast_task_last_page_event_timestamp_seconds", "task")) == [("reschedule", "PageCrash")]


def test_a_restart_knows_targets_counters_and_page_events(vendor: Vendor) -> None:
    """The fleet's and the run's counters go on, from the first scrape; the target is known without a list."""
    task = vendor.world.task("task")
    vendor.call(task, REFRESHED, "PageBlank")
    vendor.until("task", "running")
    vendor.restart()
    assert vendor.pages() == {("refreshes", APP, "PageBlank"): 1}
    assert vendor.of("webcast_task_page_refreshes_total", "task") == {(): 1}
    assert len(vendor.of("webcast_task_last_page_event_timestamp_seconds", "task")) == 1
    assert vendor.sources() == {"task": ["callback"]}


def test_without_the_section_there_is_nothing_of_it(vendor: Vendor) -> None:
    """404, no page series of tasks, and what was called back is no target; put back, it is one again."""
    task = vendor.world.task("task", ended=True)
    vendor.call(task, REFRESHED, "PageBlank", age=45)
    vendor.until("task", "ended")
    section = vendor.world.document.pop("callbacks")
    vendor.world.write()
    vendor.exporter.reload()
    assert vendor.deliver(vendor.notice(task, STARTED)) == 404
    assert (vendor.sources(), vendor.shown("webcast_task_page_refreshes_total")) == ({}, {})
    vendor.world.write(callbacks=section)
    vendor.exporter.reload()
    assert vendor.sources() == {"task": ["callback"]}
    assert vendor.of("webcast_task_page_refreshes_total", "task") == {(): 1}


def test_a_state_that_cannot_be_written(vendor: Vendor) -> None:
    """503, and nothing is shown; sent again once the file is free it is taken, and counts once."""
    task = vendor.world.task("task")
    notice = vendor.notice(task, RESCHEDULED, "PageCrash")
    with closing(sqlite3.connect(vendor.world.folder / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = {vendor.deliver(notice) for _ in range(10)}
        assert (answers, vendor.pages(), vendor.outcomes()) == ({503}, {}, {})
    vendor.world.shift.seconds += 2
    assert vendor.deliver(notice) == 200
    assert vendor.pages() == {("reschedules", APP, "PageCrash"): 1}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_refused_callback_is_accepted_once_the_state_is_back(vendor: Vendor, at_once: bool) -> None:
    """Its copy is no duplicate, whether the state was written meanwhile by itself or not; its task is read."""
    task = vendor.world.task("task")
    notice = vendor.notice(task, RESCHEDULED, "PageCrash")
    with closing(sqlite3.connect(vendor.world.folder / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert vendor.deliver(notice) == 503
        reads = vendor.world.reads(task)
    if not at_once:
        wait_until(lambda: vendor.pages() == {("reschedules", APP, "PageCrash"): 1}, "it is written")
    assert [vendor.deliver(notice) for _ in range(2)] == [200, 200]
    assert vendor.outcomes() == {"accepted": 1, "duplicate": 1}
    wait_until(lambda: vendor.world.reads(task) > reads, "it is read")


def test_a_callback_that_the_queue_does_not_take_is_refused(vendor: Vendor) -> None:
    """Nothing is waited for then, and the vendor sends it again: the queue is full, or the state is lost."""
    store = vendor.exporter._components.store
    notices = [vendor.notice(vendor.world.task(name), RESCHEDULED, "PageCrash") for name in ("one", "two")]
    store._max_queued = 0
    assert vendor.deliver(notices[0]) == 503
    store._max_queued = 10
    assert [vendor.deliver(notices[0]) for _ in range(2)] == [200, 200]
    store.lost = "another process has it by now"
    assert vendor.deliver(notices[1]) == 503
    assert vendor.pages() == {("reschedules", APP, "PageCrash"): 1}
    assert vendor.outcomes() == {"accepted": 1, "duplicate": 1}


def test_secrets_rotate(vendor: Vendor) -> None:
    """The file is read again when it changes: both are good while both are in it."""
    task, file = vendor.world.task("task"), vendor.world.folder / "secret"
    file.write_text(f"{SECRET}\n{NEXT}\n")
    vendor.exporter._watch_files()
    assert [vendor.deliver(vendor.notice(task, STARTED), secret) for secret in (SECRET, NEXT)] == [200, 200]
    file.write_text(f"{NEXT}\n")
    vendor.exporter._watch_files()
    assert [vendor.deliver(vendor.notice(task, STARTED), secret) for secret in (SECRET, NEXT)] == [401, 200]


def test_a_listener_of_its_own(vendor: Vendor) -> None:
    """It comes, moves and goes with a reload; the main one takes none meanwhile; a taken address changes nothing."""
    task = vendor.world.task("task")
    section = {"secret_file": "secret", "listen_address": "127.0.0.1:0"}
    vendor.world.write(callbacks=section)
    vendor.exporter.reload()
    url = vendor.exporter._callback_listener.url
    assert vendor.deliver(vendor.notice(task, STARTED)) == 404
    assert vendor.post(callback_payload(vendor.notice(task, STARTED), SECRET, "1"), url) == 200
    vendor.exporter.reload()
    assert vendor.exporter._callback_listener.url == url
    with closing(bind("127.0.0.1:0")) as taken:
        taken.listen()
        vendor.world.write(callbacks={**section, "listen_address": f"127.0.0.1:{taken.getsockname()[1]}"})
        with pytest.raises(ConfigError, match=r"callbacks\.listen_address chooses another"):
            vendor.exporter.reload()
    assert vendor.post(callback_payload(vendor.notice(task, STARTED), SECRET, "2"), url) == 200
    vendor.world.write(callbacks={"secret_file": "secret"})
    vendor.exporter.reload()
    assert vendor.deliver(vendor.notice(task, STARTED)) == 200
    with pytest.raises(httpx.ConnectError):
        vendor.post(b"{}", url)


def test_a_taken_address_stops_the_start(vendor: Vendor) -> None:
    with closing(bind("127.0.0.1:0")) as taken:
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        vendor.world.write(
            callbacks={"secret_file": "secret", "listen_address": address},
            state={"url": f"sqlite:///{vendor.world.folder}/other.db"},
        )
        with pytest.raises(StartError, match=f"cannot listen on {address}: address already in use; callbacks"):
            vendor.world.start()


def test_a_target_that_is_deleted_comes_back_with_the_next_event(vendor: Vendor) -> None:
    """DELETE ends the listing by push and by callback."""
    (vendor.world.folder / "tokens").write_text("a-token-of-the-tests\n")
    vendor.world.write(push={"token_file": "tokens"})
    vendor.exporter.reload()
    task = vendor.world.task("task")
    vendor.call(task, STARTED)
    vendor.until("task", "running")
    assert vendor.exporter.push.release(task, now=True)
    assert vendor.sources() == {}
    assert not vendor.exporter.push.release(task, now=True)
    vendor.call(task, REFRESHED, "PageBlank")
    assert vendor.sources() == {"task": ["callback"]}


def test_a_called_back_target_of_an_app_that_is_gone_is_forgotten_in_the_end(vendor: Vendor) -> None:
    """A reload took its app away: no account reads it, it is rejected, and after its ttl it leaves the state."""
    vendor.call(TargetId(APP, "Room", "never-live"), STARTED)  # a live one would be drained
    vendor.world.write(accounts=[vendor.world.account(app_ids=["another"])], push={"ttl": "10s"})
    vendor.exporter.reload()
    assert vendor.shown("webcast_targets_rejected")["no_account",] == 1
    vendor.world.shift.seconds += 11
    wait_until(lambda: vendor.shown("webcast_targets_rejected")["no_account",] == 0, "it is dropped")


def test_a_hundred_at_once(vendor: Vendor) -> None:
    """A whole school begins: each is answered, and is a target."""
    tasks = [vendor.world.task(f"task{number}") for number in range(100)]
    for task in tasks:
        vendor.call(task, STARTED)
    assert len(vendor.sources()) == 100


def test_secrets_and_values_appear_nowhere(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """Not in logs, pages, reprs, the scrape or the state."""
    caplog.set_level("DEBUG")
    task = vendor.world.task("task")
    for secret in (SECRET, "canary-in-a-wrong-secret"):
        vendor.deliver(vendor.notice(task, RESCHEDULED, "canary-in-a-reason"), secret)
    vendor.deliver(vendor.notice(task, STARTED), event_type="RecordStarted")
    client = vendor.client
    pages = [client.get(path).text for path in ("/", "/status", "/api/v1/targets")]
    logs = [caplog.text, *pages, text(vendor.exporter), repr(vendor.exporter.config), repr(vendor.exporter.callbacks)]
    stored = b"".join(path.read_bytes() for path in vendor.world.folder.glob("state.db*")).decode(errors="replace")
    assert "canary" not in "".join([*logs, stored])
