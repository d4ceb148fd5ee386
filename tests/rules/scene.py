"""Scenes: a real exporter over a simulated vendor, scraped while time passes, and what the rules make of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exporter.discovery.sd_format import Listing, TargetEntry
from exporter.enums import STATUS_OF_CODE, CallbackOutcome, Source, Status
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import EVENT_TYPE, CallbackEvent, RunPlan, TaskSettings, callback_payload
from exporter.simulator.replies import VendorError, VendorReply, failure
from tests.rules.bundle import RULE_FILES, scraped_names
from tests.rules.tape import Alert, Moment, Question, Tape, run_promtool, selector, unit_test
from tests.support.simulated_exporter import METADATA, SECRET, Whole, World

APP = "661e0000000000000000543c"
HOST = "classroom.example.com"
WATCHED = TaskSettings(source_url=f"https://{HOST}/live", freeze_check=5, blank_check=5, crash_check=5)
"""A class whose page is watched by all three checks."""
RUNNING = RunPlan(WATCHED)
HOUR, MINUTE = 3600.0, 60.0
POD = "webcast-exporter-0"
JOB = {"job": "monitoring/webcast-exporter", "namespace": "monitoring"}
SECTIONS: dict[str, Any] = {"callbacks": {"secret_file": "secret"}, "metrics": {"info_labels": ["team"]}}

Transform = Callable[[str], str]
"""From the text of a scrape to the text that another pod would have served."""


@dataclass
class Vendor(World):
    """A vendor that can be made to refuse calls, and to say other things of a task that has stopped."""

    refuses: Callable[[TargetId], VendorError | None] = field(default=lambda _target: None)
    says_at_the_end: dict[TargetId, dict[str, object]] = field(default_factory=dict)

    def reply(self, target: TargetId) -> VendorReply:
        """The error, if there is one for this call, or what the vendor knows of the task."""
        if error := self.refuses(target):
            return failure(METADATA, error, "")
        reply = super().reply(target)
        told = (reply.document.get("Result") or {}).get("WebcastTask", {})
        if told.get("Status", 0) >= STATUS_OF_CODE.index(Status.ENDED):
            told.update(self.says_at_the_end.get(target, {}))
        return reply

    def forget(self, target: TargetId) -> None:
        """From now on it knows no such task."""
        self.fleet.forget(target)


def task(name: str, app_id: str = APP) -> TargetId:
    """A class in Room1."""
    return TargetId(app_id, "Room1", name)


def as_scraped(text: str) -> str:
    return text


def on_standby(text: str) -> str:
    """What a replica serves that does not lead (docs/behaviour.md, "Standby")."""
    own = [
        line for line in text.splitlines() if line.startswith(("webcast_exporter_", "webcast_callback_events_total"))
    ]
    return "\n".join(own).replace("webcast_exporter_leader 1.0", "webcast_exporter_leader 0.0")


class Scene:
    """A story on the vendor's clock. What is expected is collected, and held against the rules by `prove`."""

    def __init__(self, new_whole: Callable[..., Whole], promtool: Path, folder: Path) -> None:
        self.vendor = Vendor()
        self.vendor.fleet.follow()
        self.pods: dict[str, Transform] = {POD: as_scraped}
        self._new_whole = new_whole
        self._promtool = promtool
        self._file = folder / "scene.json"
        self._sections = SECTIONS
        self._whole: Whole | None = None
        self._listed: dict[TargetId, TargetEntry] = {}
        self._tape = Tape(self.vendor.now, scraped_names())
        self._moments: list[Moment] = []
        self._questions: list[Question] = []

    @property
    def now(self) -> float:
        """The vendor's clock, Unix seconds."""
        return self.vendor.now

    @property
    def whole(self) -> Whole:
        """The exporter, started if it was not yet."""
        if self._whole is None:
            self._whole = self._new_whole(self.vendor, **self._sections)
            self._whole.exporter._loaded()
            self._whole.exporter.self_metrics.leader.set(1)
            self._tell_lists()
        return self._whole

    def scrape_every(self, seconds: int) -> None:
        """Before the first scrape: the interval of scrapes and evaluations, 30 seconds else."""
        self._tape.every = seconds

    def configure(self, **sections: Any) -> None:
        """Sections of the configuration, before the exporter is started."""
        self._sections = {**self._sections, **sections}

    def list(self, target: TargetId, starts: float | None = None, ends: float | None = None) -> None:
        """A source lists a target; its class is meant to start and end so many seconds from now."""
        self.list_all([target], starts, ends)

    def list_all(self, targets: Iterable[TargetId], starts: float | None = None, ends: float | None = None) -> None:
        """The same of many."""
        start, end = (None if each is None else self.now + each for each in (starts, ends))
        self._listed |= dict.fromkeys(targets, TargetEntry({"team": "edu"}, start, end))
        self._tell_lists()

    def relabel(self, target: TargetId, **labels: str) -> None:
        """The source gives the target other labels, and leaves its times."""
        entry = self._listed[target]
        self._listed[target] = TargetEntry(labels, entry.expected_start, entry.expected_end)
        self._tell_lists()

    def drop(self, *targets: TargetId) -> None:
        """No source lists these any more."""
        for target in targets:
            del self._listed[target]
        self._tell_lists()

    def start(self, target: TargetId, plan: RunPlan = RUNNING, age: float = 0.0) -> None:
        """StartWebcast `age` seconds ago, of a target that is listed without times unless it is already."""
        self.vendor.begin(target, plan, age)
        if target not in self._listed:
            self.list(target)

    def passes(self, *, minutes: float) -> None:
        """Let the time pass, with all that falls into it: calls, callbacks, scrapes."""
        first = 0 if self._tape.scrapes else 1
        for _ in range(round(minutes * MINUTE / self._tape.every) + first):
            self._scrape_at(self._tape.begins + self._tape.scrapes * self._tape.every)

    def call_back(
        self, number: int, *, secret: str = SECRET, late: float = 0.0, event_type: str = EVENT_TYPE
    ) -> CallbackOutcome:
        """The vendor, or somebody, calls back an event of this number, `late` seconds after it happened."""
        at = round((self.now - late) * 1000)
        notice = CallbackEvent(task("Class0"), at, status=1, reason="", event_id=f"event{number}")
        return self.whole.exporter.callbacks.receive(callback_payload(notice, secret, "4821", event_type=event_type))

    def refresh_lists(self) -> None:
        """What the scheduler does every `refresh_interval`."""
        manager = self.whole.exporter._targets
        for source in manager._sources:
            manager.refresh(manager._sources, source)

    def kill(self) -> None:
        """The exporter is killed, and nothing is there to be scraped."""
        self.whole.kill()
        self._whole = None
        self.pods = {}

    def lose_state(self) -> None:
        """The state file of the killed exporter is gone."""
        (self._file.parent / "state.db").unlink()

    def restart(self, pod: str) -> None:
        """An exporter begins over the same state, in another pod."""
        self.pods = {pod: as_scraped}
        self._tell_lists(start=True)

    def expects(self, *alerts: Alert) -> None:
        """These fire at this moment, and no other."""
        self._moments.append(Moment(self._tape.at, alerts))

    def fired_once(self, *alerts: Alert) -> None:
        """So far each of these was active from one moment on without a gap, under one set of labels, and still is."""
        for alert in alerts:
            labels = selector({"alertname": alert.name, **alert.labels})
            named = selector({"alertname": alert.name, "task_id": alert.labels["task_id"]})
            self.asks(f"count(count_over_time(ALERTS_FOR_STATE{named}[3h]))", ({}, 1))
            self.asks(f"sum(changes(ALERTS_FOR_STATE{labels}[3h]))", ({}, 0))

    def asks(self, expression: str, *answer: tuple[Mapping[str, str], float]) -> None:
        """A query at this moment has this answer: label sets and values."""
        self._questions.append(Question(expression, self._tape.at, answer))

    def prove(self) -> None:
        """Have promtool say whether the rules do as was expected, and that nothing else ever fired."""
        document = unit_test(self._tape, RULE_FILES, self._moments, self._questions)
        if complaint := run_promtool(self._promtool, document, self._file):
            pytest.fail(complaint, pytrace=False)

    def _scrape_at(self, moment: float) -> None:
        if self.pods:
            self.whole.run(moment - self.now, step=2.5)
            for notice in self.vendor.fleet.due_events():
                if Source.CALLBACK in self.whole.exporter.secrets:
                    self.whole.call_back(notice)
        else:
            self.vendor.now = moment
        self._tape.take(self._texts())

    def _texts(self) -> dict[str, str]:
        text = self.whole.scrape(self._tape.names) if self.pods else ""
        return {_in_one_line(scraped_from(pod)): transform(text) for pod, transform in self.pods.items()}

    def _tell_lists(self, *, start: bool = False) -> None:
        if self._whole is None and not start:
            return
        target_manager = self.whole.exporter._targets
        target_manager._sources._static = Listing(Source.HTTP, dict(self._listed))
        target_manager.apply()


def scraped_from(pod: str) -> dict[str, str]:
    """The labels that Prometheus adds, as a PodMonitor has them."""
    number = int(pod.rpartition("-")[2]) + 1
    return {**JOB, "pod": pod, "instance": f"10.0.0.{number}:10960", "container": "exporter", "endpoint": "http"}


def _in_one_line(labels: Mapping[str, str]) -> str:
    return selector(labels).strip("{}")


def of_task(name: str, target: TargetId, severity: str, annotations: Mapping[str, str] | None = None) -> Alert:
    """An alert of one task: the labels of T, of its account, its info labels, and what the scrape adds."""
    labels = {
        **target._asdict(),
        "namespace": JOB["namespace"],
        "account": "default",
        "team": "edu",
        "severity": severity,
    }
    return Alert(name, labels, annotations)


def of_exporter(name: str, severity: str, **labels: str) -> Alert:
    """An alert of the fleet or of the exporter."""
    return Alert(name, {**labels, "severity": severity})
