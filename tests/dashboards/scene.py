"""A scene in which everything happens: a day's fleet, lessons that go wrong in every way, an API that fails."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.callback_sender import DeliveryPolicy
from exporter.simulator.faults import FaultMode
from exporter.simulator.fleet import APPS, LARGE, MIDDLE, SMALL
from exporter.simulator.lifecycle import (
    STARTED,
    CallbackEvent,
    Ending,
    PageTrouble,
    RunPlan,
    TaskSettings,
    begin_run,
    callback_payload,
)
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions
from tests.support import web_client

LATER = 10_000.0
EVENING_APP = "661e0000000000000000543e"
EVENING_TASKS = 12
PAGES = ("whiteboard", "slides", "video-wall")
CLOSED = "http://127.0.0.1:9/targets"
"""The port of `discard`, on which no server listens."""


@dataclass(frozen=True)
class Lesson:
    """A class: how its task lives since `age` seconds, and from when to when it is meant to be (seconds from now)."""

    plan: RunPlan | None
    age: float = 0.0
    start: float | None = None
    end: float | None = None
    page: str = "slides"


WATCHED = TaskSettings(video=(LARGE, SMALL), freeze_check=2, blank_check=5, event_notify=True, max_running_time=3600)
TROUBLES = (
    *(PageTrouble(PageReason.FREEZE, after=1805 + 30 * number, lasting=True) for number in range(5)),
    PageTrouble(PageReason.BLANK, after=2500),
)
"""Several, because callbacks before the exporter is up are lost."""
LESSONS = {
    "Well": Lesson(RunPlan(TaskSettings(video=(MIDDLE,), blank_check=5)), 900, -900, 2700),
    "Cut": Lesson(RunPlan(WATCHED, troubles=TROUBLES), 1800, -1800, 5400, "whiteboard"),
    "Waits": Lesson(RunPlan(starts=LATER), 60, -600, 3000),
    "Failed": Lesson(RunPlan(starts=None, ends=1, ending=Ending.START_FAILED), 300, -310, 3290, "whiteboard"),
    "Broke": Lesson(RunPlan(ends=240, ending=Ending.BROKE), 270, -280, 3320),
    "EndedEarly": Lesson(RunPlan(ends=300, ending=Ending.STOPPED_BY_API), 400, -400, 3200),
    "Overrun": Lesson(RunPlan(), 7200, -7200, -1200, "video-wall"),
    "Vague": Lesson(RunPlan(unknown=((0, LATER),)), 120),
    "SoonOver": Lesson(RunPlan(TaskSettings(max_running_time=1000)), 700),
    "Nowhere": Lesson(None, start=-200, end=3400),
    "Tomorrow": Lesson(None, start=80_000, end=90_000),
}
UNDER_WATCH = {
    "Breaks": RunPlan(ends=6, ending=Ending.BROKE),
    "TimesOut": RunPlan(TaskSettings(max_running_time=10)),
}
"""Lessons that begin, and end badly, once somebody looks on."""


def lesson(name: str) -> TargetId:
    """The task of a lesson."""
    return TargetId(APPS[0], f"Class{name}", f"Task{name}")


@dataclass
class Stage:
    """The vendor's two sides: the day's API, and the evening's, which throttles and then fails."""

    day: Simulation
    evening: Simulation
    directory: Path

    def config(self) -> dict[str, Any]:
        """The configuration of an exporter that looks at all of it."""
        (self.directory / "callback-secret").write_text(CALLBACK_SECRET)
        (self.directory / "targets.json").write_text(json.dumps([*self._lists()]))
        return {
            "accounts": [
                _account("day", self.day, 48, [*APPS]),
                _account("evening", self.evening, 20, [EVENING_APP]),
            ],
            "static_configs": [{"targets": [str(target) for target in self.evening.fleet.targets()]}],
            "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "5s"}],
            "http_sd_configs": [{"url": url, "refresh_interval": "2s"} for url in (f"{self.day.url}/targets", CLOSED)],
            "callbacks": {"secret_file": "callback-secret"},
            "polling": {
                "interval": "2s",
                "fast_interval": "1s",
                "stale_after": "5s",
                "reread_stopped": "5s",
                "max_backoff": "5s",
            },
            "lifecycle": {"linger": "10m"},
            "metrics": {"info_labels": ["team", "page"]},
            "state": {"url": "sqlite://"},
        }

    def play(self, url: str) -> None:
        """From now on call the exporter at `url` back, also with what it must not believe; and let lessons fail."""
        for name, plan in UNDER_WATCH.items():
            self.day.fleet.add(lesson(name), begin_run(plan, time.time()))
        self.day.send_callbacks(f"{url}/callback", policy=DeliveryPolicy(doubled=0.3))
        for body in _odd_callbacks():
            web_client.post(f"{url}/callback", content=body)

    def fail_the_evening(self) -> None:
        """From now on the evening's API answers every call with an error of its own."""
        self.evening.faults.mode = FaultMode.SERVER_ERROR

    def mend_the_evening(self) -> None:
        """From now on it answers again."""
        self.evening.faults.mode = FaultMode.NONE

    def _lists(self) -> Iterator[dict[str, Any]]:
        """Lessons with what is expected of them, the day's tasks with a page each, and targets that are none."""
        now = time.time()
        for name, each in LESSONS.items():
            expected = {"__expected_start__": each.start, "__expected_end__": each.end}
            times = {label: str(int(now + offset)) for label, offset in expected.items() if offset is not None}
            yield {"targets": [str(lesson(name))], "labels": {"team": "lessons", "page": each.page, **times}}
        of_the_day = [str(target) for target in self.day.fleet.targets() if target.room_id.startswith("Room")]
        for place, page in enumerate(PAGES):
            yield {"targets": of_the_day[place :: len(PAGES) + 1], "labels": {"page": page}}
        yield {"targets": ["no-task", f"{APPS[0]}/Twice/Task", f"{APPS[0]}/Twice/Task", "661e/NoAccount/Task"]}


@contextmanager
def staged(directory: Path, *, tasks: int = 40, speed: float = 60) -> Iterator[Stage]:
    """The scene while it is set."""
    directory.mkdir(parents=True, exist_ok=True)
    evening_scene = SimulationOptions(tasks=0, speed=1, qps=8)
    with Simulation(SimulationOptions(tasks=tasks, speed=speed)) as day, Simulation(evening_scene) as evening:
        now = time.time()
        for name, each in LESSONS.items():
            if each.plan is not None:
                day.fleet.add(lesson(name), begin_run(each.plan, now - each.age))
        for number in range(EVENING_TASKS):
            target = TargetId(EVENING_APP, f"Evening{number}", f"Task{number}")
            evening.fleet.add(target, begin_run(RunPlan(), now - 60.0 * number))
        yield Stage(day, evening, directory)


def _account(name: str, simulation: Simulation, max_qps: int, app_ids: list[str]) -> Mapping[str, Any]:
    return {
        "name": name,
        "endpoint": simulation.url,
        "access_key_id": simulation.credentials.access_key,
        "secret_access_key": simulation.credentials.secret_key,
        "max_qps": max_qps,
        "app_ids": app_ids,
    }


def _odd_callbacks() -> Iterator[bytes]:
    """One of each kind: malformed, badly signed, ignored, stale, and with a Status that means nothing."""
    now = int(time.time() * 1000)
    said = CallbackEvent(lesson("Well"), now, STARTED, "", "odd")
    yield b"no JSON"
    yield callback_payload(said, "another secret", "0001")
    yield callback_payload(said, CALLBACK_SECRET, "0002", event_type="Record")
    yield callback_payload(CallbackEvent(lesson("Well"), now - 3_600_000, STARTED, "", "old"), CALLBACK_SECRET, "0003")
    yield callback_payload(CallbackEvent(lesson("Well"), now, 9, "", "nine"), CALLBACK_SECRET, "0004")
