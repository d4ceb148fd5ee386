"""A person breaks a simulated task and heals it: over HTTP, at once, and until the next action."""

import re
from typing import Any

import pytest

from exporter.model.target import TargetId
from exporter.simulator.fleet import Action, Fleet, demo_fleet, stop_counts, stopped_runs
from exporter.simulator.gateway import ApiRequest, Gateway
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings
from exporter.simulator.replies import VendorReply
from exporter.simulator.server import ACCOUNT

BEGAN = 1_700_000_000.0
TASK = TargetId("app", "Room", "Task")
PLANS = {
    "waits": RunPlan(starts=600),
    "runs": RunPlan(TaskSettings(max_running_time=3600)),
    "vague": RunPlan(unknown=((0, 80_000),)),
    "over": RunPlan(ends=30, ending=Ending.STOPPED_BY_API),
    "failed": RunPlan(starts=None, ends=1, ending=Ending.START_FAILED),
}
CALLBACKS = {"freeze": "PageFreeze", "blank": "PageBlank", "crash": "PageCrash"}


class Rehearsal:
    """One task that was created a minute ago, and what a person does to it."""

    def __init__(self, plan: RunPlan) -> None:
        self.now = BEGAN
        self.fleet = Fleet(lambda: self.now)
        self.gateway = Gateway(self.fleet, (ACCOUNT,))
        self.fleet.begin(TASK, plan, age=60)
        self.fleet.follow()

    def do(self, do: str, *, path: str = f"/task/{TASK}", accept: str = "*/*", method: str = "POST") -> VendorReply:
        """One action, a second after the last one."""
        self.now += 1
        return self.gateway.answer(ApiRequest(method, path, f"do={do}", {"accept": accept}), self.now)

    def task(self, after: float = 0.1) -> dict[str, Any]:
        """What `GET /truth` tells of it some seconds later."""
        self.now += after
        document = self.gateway.answer(ApiRequest("GET", "/truth", "", {}), self.now).document
        task = document["tasks"][str(TASK)]
        assert isinstance(task, dict)
        return task

    def events(self, seconds: float) -> list[tuple[int, str]]:
        """The callbacks of so many seconds."""
        self.now += seconds
        return [(event.status, event.reason) for event in self.fleet.due_events()]


@pytest.fixture(params=PLANS)
def rehearsal(request: pytest.FixtureRequest) -> Rehearsal:
    """A task in each state."""
    return Rehearsal(PLANS[request.param])


@pytest.fixture
def running() -> Rehearsal:
    """A task that runs."""
    return Rehearsal(PLANS["runs"])


@pytest.mark.parametrize(
    ("do", "status", "reason"),
    [
        ("start", "running", ""),
        ("freeze", "running", ""),
        ("blank", "running", ""),
        ("crash", "running", ""),
        ("end", "ended", "StopByAPI"),
        ("cut", "ended", "ExceedMaxRunningTime"),
        ("hang", "not_started", ""),
        ("unknown", "unknown", ""),
    ],
)
def test_an_action_works_in_every_state_and_lasts(rehearsal: Rehearsal, do: str, status: str, reason: str) -> None:
    """The answer tells the new state; it holds for hours, and `start` heals whatever it was."""
    reply = rehearsal.do(do)
    assert (reply.status, reply.document["task"], reply.document["did"]) == (200, str(TASK), do)
    for told in (reply.document, rehearsal.task(), rehearsal.task(8 * 3600)):
        assert (told["status"], told["reason"]) == (status, reason)
    assert rehearsal.do("start").document["status"] == rehearsal.task(8 * 3600)["status"] == "running"


@pytest.mark.parametrize(
    ("state", "reason"), [("waits", "StartTaskFailed"), ("runs", "UnknownStopReason"), ("over", "UnknownStopReason")]
)
def test_a_failure_has_the_reason_of_its_state(state: str, reason: str) -> None:
    """Before its start a task fails to start, later it breaks."""
    rehearsal = Rehearsal(PLANS[state])
    assert rehearsal.do("fail").status == 200
    assert (rehearsal.task()["status"], rehearsal.task()["reason"]) == ("failed", reason)


def test_a_task_that_is_cut_has_reached_its_limit(running: Rehearsal) -> None:
    """Pages show how long it ran, of how long it may."""
    running.events(120)
    running.do("cut")
    (run,) = (run for _, run in stopped_runs(running.fleet, round(running.now * 1000)))
    assert run.start is not None
    assert run.end is not None
    assert run.settings.max_running_time == round((run.end - run.start) / 1000)


@pytest.mark.parametrize("do", CALLBACKS)
def test_a_page_stays_in_trouble_until_it_is_healed(running: Rehearsal, do: str) -> None:
    """The vendor's refreshes and reschedules come every 20 s; a crash is rescheduled at once."""
    running.do(do)
    cycle = [(5, CALLBACKS[do])] if do == "crash" else [(4, CALLBACKS[do]), (5, CALLBACKS[do])]
    assert running.events(60.5) == cycle * 3
    running.do("start")
    assert running.events(600) == []
    assert running.task()["status"] == "running"


def test_each_stop_and_start_is_called_back_once(running: Rehearsal) -> None:
    """Broken and healed three times: as many ends and starts; a healed run goes on, an ended one is followed."""
    for do in ("fail", "start", "unknown", "start", "end", "start", "cut", "hang", "start"):
        running.do(do)
    assert running.events(5) == [(2, ""), (1, ""), (3, ""), (1, ""), (3, ""), (1, "")]
    now = round(running.now * 1000)
    assert {reason.value: count for reason, count in stop_counts(running.fleet, now).items() if count} == {
        "UnknownStopReason": 1,
        "StopByAPI": 1,
        "ExceedMaxRunningTime": 1,
    }
    runs = [run for _, run in stopped_runs(running.fleet, now)]
    assert len({run.start for run in runs}) == 3


def test_a_hang_ends_what_ran(running: Rehearsal) -> None:
    """The id is used again: the run before it was stopped by the API."""
    running.do("hang")
    assert running.events(60) == [(3, "")]
    assert running.task()["start"] is None


def test_a_demo_task_stays_as_it_was_left() -> None:
    """It would begin anew by itself; after an action it does not, and others go on."""
    now = BEGAN
    fleet = demo_fleet(13, 60.0, 1, lambda: now)
    first, other = list(fleet.targets())[:2]
    assert fleet.act(first, Action.END) is not None
    now += 3600
    runs = fleet.runs(round(now * 1000))
    assert runs[first][-1].end == round(BEGAN * 1000)
    assert len(runs[other]) > 5


def test_the_class_of_a_task_is_on_for_a_day(running: Rehearsal) -> None:
    """The list for service discovery then has expected times, so that a dark class is known as one."""
    assert running.fleet.targets() == {TASK: {}}
    running.do("end")
    created = int(BEGAN - 60)
    expected = {"__expected_start__": str(created), "__expected_end__": str(created + 86_400)}
    assert running.fleet.targets() == {TASK: expected}
    (group,) = running.gateway.answer(ApiRequest("GET", "/targets", "", {}), running.now).document
    assert group == {"targets": [str(TASK)], "labels": expected}


@pytest.mark.parametrize(
    ("path", "do", "method", "status", "sentence"),
    [
        (f"/task/{TASK}", "explode", "POST", 400, "do=explode is none of start, fail, freeze"),
        (f"/task/{TASK}", "", "POST", 400, "do= is none of"),
        (f"/task/{TASK}", "Fail", "POST", 400, "do=Fail is none of"),
        ("/task/app/Room/Other", "fail", "POST", 404, "There is no task app/Room/Other; GET /targets lists the tasks."),
        ("/task/app/Room", "fail", "POST", 404, "'app/Room' is not APP_ID/ROOM_ID/TASK_ID"),
        ("/task/a/b/c/d", "fail", "POST", 404, "is not APP_ID/ROOM_ID/TASK_ID"),
        ("/task/a/b/%3Cb%3E", "fail", "POST", 404, "task id"),
        (f"/task/{TASK}", "fail", "GET", 405, "POST /task/APP_ID/ROOM_ID/TASK_ID?do=ACTION changes a task"),
    ],
)
def test_what_cannot_be_done_is_said(
    *, running: Rehearsal, path: str, do: str, method: str, status: int, sentence: str
) -> None:
    """A sentence, and nothing is changed."""
    reply = running.do(do, path=path, method=method)
    assert reply.status == status
    assert sentence in reply.document["error"]
    assert running.task()["status"] == "running"


def test_the_page_has_a_button_for_each_action(running: Rehearsal) -> None:
    """A browser that pushes one comes back to the page; nothing on it is taken for markup."""

    def page() -> str:
        return (running.gateway.answer(ApiRequest("GET", "/", "", {}), running.now).body or b"").decode()

    assert re.findall(r'action="(/task/[^"]+)"', page()) == [f"/task/{TASK}?do={action}" for action in Action]
    assert "<td>running</td><td></td>" in page()
    reply = running.do("cut", accept="text/html,application/xhtml+xml")
    assert (reply.status, dict(reply.headers)) == (303, {"Location": "/"})
    assert "<td>ended</td><td>ExceedMaxRunningTime</td>" in page()


def test_a_page_of_many_tasks_says_that_it_is_not_all() -> None:
    """500 are shown."""
    gateway = Gateway(demo_fleet(600, 60.0, 1, lambda: BEGAN), (ACCOUNT,))
    page = (gateway.answer(ApiRequest("GET", "/", "", {}), BEGAN).body or b"").decode()
    assert (page.count("do=fail"), "Only 500 of 600 tasks are shown." in page) == (500, True)
