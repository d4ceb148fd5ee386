"""A whole house in one thread: a simulated vendor, and the floors of an exporter over a state file; no network."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from sqlalchemy.exc import SQLAlchemyError

from exporter.app.exporter import Exporter
from exporter.config.load import load
from exporter.errors import ReadError
from exporter.exposition.board import Board
from exporter.exposition.catalog.task import task_families
from exporter.exposition.family import Group
from exporter.exposition.fleet import FleetCollector
from exporter.ledger.ledger import RETRY_AFTER, Ledger
from exporter.ledger.opening import open_engine
from exporter.ledger.totals import Total
from exporter.model.clock import Clock
from exporter.model.known import Known, Lifetimes
from exporter.model.reading import Reading
from exporter.model.target import Target, TargetId
from exporter.polling.dispatcher import BEAT
from exporter.polling.tracker import Tracker
from exporter.rtc.answer import Answer, understand
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Plan, begin
from exporter.simulator.operations import GET_TASK, Ask, get_task
from exporter.simulator.replies import INTERNAL_ERROR, Metadata, Refusal, Reply, Style, failure, success
from exporter.targets.groups import Listed, Listing
from exporter.vocabulary import Source

UNIX = 1_768_465_805.0
METADATA = Metadata("request", GET_TASK, "2020-12-01", "cn-north-1")
APP = "661e0000000000000000543c"
WAITS = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
GAUGES = ("webcast_tasks", "webcast_tasks_without_series")

Shown = dict[tuple[str, ...], float]
"""A sample's name and label values, to its value."""


@dataclass
class World:
    """A vendor and the wall clock beside it: `now` is the vendor's Unix seconds, `behind` how far ours is behind."""

    now: float = UNIX
    behind: float = 0.0
    style: Style = field(default_factory=Style)
    asked: list[tuple[float, TargetId]] = field(default_factory=list)
    failing: bool = False

    def __post_init__(self) -> None:
        self.fleet = Fleet(lambda: self.now)
        self.clock = Clock(self.unix, lambda: self.now)

    def unix(self) -> float:
        """Our wall clock."""
        return self.now - self.behind

    @property
    def milliseconds(self) -> int:
        """The vendor's clock as its replies have it."""
        return int(self.now * 1000)

    def begin(self, target: TargetId, plan: Plan, age: float = 0.0) -> bool:
        """StartWebcast `age` seconds ago; False when the task's last life goes on."""
        return self.fleet.start(target, begin(plan, self.now - age))

    def read(self, target: TargetId) -> Reading:
        """One call, answered at once; what the client understands of it."""
        return self.reading(target, self._answer(target))

    def reading(self, target: TargetId, answer: Answer | ReadError) -> Reading:
        """An answer, or what came in its place, as a reading of this moment."""
        try:
            outcome = answer if isinstance(answer, ReadError) else understand(answer, self.unix()).task
        except ReadError as error:
            outcome = error
        return Reading(target, at=self.unix(), server_time=self.now, elapsed=0.1, outcome=outcome)

    def reply(self, target: TargetId) -> Reply:
        """What the vendor sends back to a call for `target`."""
        self.asked.append((self.now, target))
        if self.failing:
            return failure(METADATA, INTERNAL_ERROR, "An internal error occurred.")
        try:
            return success(METADATA, get_task(self.fleet, Ask(target, {}, self.now, self.style)))
        except Refusal as refusal:
            return failure(METADATA, refusal.error, str(refusal))

    def _answer(self, target: TargetId) -> Answer:
        reply = self.reply(target)
        return Answer(reply.status, date="", retry_after="", document=reply.document, flaw=None)


@dataclass
class House:
    """Tracker, ledger and board of one exporter; `open` is a start of the process, `kill` and `close` its ends."""

    file: Path
    world: World
    fresh_for: Callable[[Known], float] = lambda _known: 0.0
    waits: Lifetimes = WAITS
    broken: bool = False

    def open(self, listed: Iterable[TargetId]) -> None:
        """Start: take up the runs left live and the targets listed, as the composition root does."""
        self.ledger = Ledger(open_engine(f"sqlite:///{self.file}"), self.world.clock.monotonic, self._failed)
        self.tracker = Tracker(self.ledger, self.waits, self.world.clock, self.fresh_for)
        self.board = Board(task_families(tuple(Group), ()), 100_000, self.tracker.get)
        self.tracker.attach(self.board)
        self.broken = False
        remembered = self.ledger.latest_runs()
        left = {run.target: Target(run.target, "default") for run in remembered.values() if run.live}
        self.tracker.replace_targets(left, remembered)
        self.tracker.replace_targets({target: Target(target, "default") for target in listed}, remembered)

    def follow(self, listed: Iterable[TargetId]) -> None:
        """The sources list these now."""
        targets = {target: Target(target, "default") for target in listed}
        new = [target for target in targets if self.tracker.get(target) is None]
        self.tracker.replace_targets(targets, self.ledger.latest_runs(new))

    def kill(self) -> None:
        """End as a killed process does: nothing more is written."""
        self.ledger._engine.dispose()

    def close(self) -> None:
        """A clean stop."""
        self.ledger.close()

    def set_broken(self, *, broken: bool) -> None:
        """From now on every write fails, or none; what was kept back is written as soon as it may be tried."""
        self.broken = broken
        with self.ledger._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(broken)}")
        self.world.now += RETRY_AFTER
        self.tracker.expire()

    @property
    def all_written(self) -> bool:
        """Whether nothing waits to be written."""
        return not self.ledger._backlog

    def fleet_counters(self) -> Shown:
        """Every sample of the Fleet counters and histograms, as a scrape would show it now."""
        return {
            (sample.name, *(value for label, value in sorted(sample.labels.items()) if label != "app_id")): sample.value
            for metric in FleetCollector(self.board, self.ledger.totals).collect()
            for sample in metric.samples
            if sample.name not in GAUGES
        }

    def _failed(self, error: SQLAlchemyError, *, first: bool) -> None:
        assert self.broken, error
        assert isinstance(first, bool)


class Wire(BaseAdapter):
    """In place of the network: the vendor's answer to a signed request."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, request: PreparedRequest, *_args: Any, **_kwargs: Any) -> Response:
        """Answer at once."""
        asked = dict(parse_qsl(urlsplit(request.url or "").query))
        reply = self._world.reply(TargetId(asked["AppId"], asked["RoomId"], asked["TaskId"]))
        response = Response()
        response.status_code = reply.status
        response.raw = BytesIO(json.dumps(reply.document).encode())
        return response

    def close(self) -> None:
        """Nothing is open."""


class Whole:
    """The real exporter in one thread and without a network: its beat is called here, and its calls end at once.

    A call that waits for its slot moves the world's time on.
    """

    def __init__(self, folder: Path, world: World, **sections: Any) -> None:
        keys = {"access_key_id": "AKLTexample", "secret_access_key": "made-up-secret"}
        document = {"accounts": [{"name": "default", **keys}], "state": {"url": f"sqlite:///{folder}/state.db"}}
        file = folder / "webcast-exporter.yml"
        file.write_text(yaml.safe_dump(document | sections))
        config = load(file, {})
        self.world = world
        self.exporter = Exporter(config, lambda: config, {}, open_engine(config.state.url), world.clock)
        self.exporter._apply(config)
        self.desk = self.exporter._desks._desks["default"]
        self.desk.pacer._sleep = self._sleep
        self.desk.client._adapter = Wire(world)
        self.desk.poller._ports = replace(self.desk.poller._ports, submit=lambda work: work())

    def list(self, targets: Iterable[TargetId]) -> None:
        """The sources list these now."""
        listing = Listing(Source.HTTP, {target: Listed({}) for target in targets})
        self.exporter._lineup._feeds = lambda: [listing]
        self.exporter._lineup.feeds_changed()

    def run(self, seconds: float, step: float = BEAT) -> None:
        """Let the time pass, a beat every `step`."""
        end = self.world.now + seconds
        while self.world.now < end:
            began = self.world.now
            self.exporter._beat()
            self.world.now = max(self.world.now, began + step)

    def stops(self) -> dict[str, float]:
        """`webcast_run_stops_total` by reason, what is zero left out."""
        totals = self.exporter._ledger.totals()
        return {series.label: value for series, value in totals.items() if series.total is Total.RUN_STOPS and value}

    def kill(self) -> None:
        """End as a killed process does."""
        self.exporter._ledger._engine.dispose()

    def _sleep(self, seconds: float) -> None:
        self.world.now += seconds


@pytest.fixture
def new_whole(tmp_path: Path) -> Iterator[Callable[..., Whole]]:
    """Start a whole exporter over the test's one state: `new_whole(world, **sections)`."""
    started: list[Whole] = []

    def make(world: World, **sections: Any) -> Whole:
        started.append(Whole(tmp_path, world, **sections))
        return started[-1]

    yield make
    for whole in started:
        whole.exporter.stop()


@pytest.fixture
def new_world() -> Callable[[], World]:
    """Make a world without tasks."""
    return World


@pytest.fixture
def new_house() -> Callable[..., House]:
    """Make a house that is not open yet: `new_house(file, world)`."""
    return House
