"""A site on a loopback port over a made-up exporter that a test may change."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge
from starlette.applications import Starlette

from exporter.config.schema import Config
from exporter.discovery.sd_format import TargetGroup
from exporter.enums import CallbackOutcome, Rejection, Source
from exporter.errors import ConfigError, Problem
from exporter.metrics.exposition import Exposition
from exporter.metrics.families import task_families
from exporter.metrics.self_metrics import AccountNumbers
from exporter.metrics.series_cache import SeriesCache, TaskCountKey
from exporter.metrics.task_history import HistoryLog, TaskHistory
from exporter.model.problem import ProblemThresholds, evaluate
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task_state import Lifetimes, NextRead, TaskState
from exporter.store.run_table import FoundRuns, RunCursor, RunQuery
from exporter.volcengine.error_mapping import UnknownCode
from exporter.web.app import create_app, create_callback_app
from exporter.web.auth import CurrentPolicy, TokenBucket, WebPolicy
from exporter.web.endpoints import UNSIGNED_BURST, UNSIGNED_PER_SECOND
from exporter.web.interfaces import CallbackRecord, ExporterApi, JobRow, Reload
from exporter.web.server import Listener, bind
from tests.support import web_client


def with_problems(states: list[TaskState]) -> list[TaskState]:
    """The states as the registry keeps them."""
    return [replace(state, problems=evaluate(state, NOW, ProblemThresholds())[0]) for state in states]


JSON = "application/json"
TOKEN = "a-token-of-the-tests"
NOW = 1_768_465_805.0
LIFETIMES = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)


def small_exposition() -> Exposition:
    """One gauge of the fleet, one task."""
    registry = CollectorRegistry(auto_describe=True)
    Gauge("webcast_example", "An example.", registry=registry).set(7)
    state = TaskState(Target(TargetId("app", "room", "task"), account="default"))
    cache = SeriesCache(task_families(()), 10, {state.target.id: state}.get)
    cache.show(state)
    return Exposition(registry, cache)


class FakeTokens:
    """A file with one token."""

    def matches(self, presented: str) -> bool:
        """Whether it is the token."""
        return presented == TOKEN


@dataclass
class FakePush:
    """Takes what it is told; `breaks` is raised instead. `updated` and `released` are what came."""

    breaks: Exception | None = None
    updated: list[tuple[list[TargetGroup], bool]] = field(default_factory=list)
    released: list[tuple[TargetId, bool]] = field(default_factory=list)
    listed: bool = True

    def update(self, groups: list[TargetGroup], *, replace: bool) -> int:
        """Keep them."""
        if self.breaks is not None:
            raise self.breaks
        self.updated.append((groups, replace))
        return sum(len(group.targets) for group in groups)

    def release(self, target: TargetId, *, now: bool) -> bool:
        """Keep it."""
        if self.breaks is not None:
            raise self.breaks
        self.released.append((target, now))
        return self.listed


@dataclass
class FakeCallbacks:
    """Takes whatever comes as the test says; `breaks` is raised instead."""

    outcome: CallbackOutcome = CallbackOutcome.ACCEPTED
    breaks: Exception | None = None
    bodies: list[bytes] = field(default_factory=list)
    seen: list[CallbackRecord] = field(default_factory=list)

    def recent(self) -> list[CallbackRecord]:
        """As the test says."""
        return self.seen

    def receive(self, body: bytes) -> CallbackOutcome:
        """Remember it."""
        if self.breaks is not None:
            raise self.breaks
        self.bodies.append(body)
        return self.outcome


@dataclass
class FakeQueries:
    """What people are told; `tasks` gives those of the exporter. `breaks` is raised when the state is asked."""

    tasks: Callable[[], list[TaskState]]
    now: float = NOW
    lifetimes: Lifetimes = LIFETIMES
    reload: Reload | None = None
    turns: dict[TargetId, NextRead] = field(default_factory=dict)
    remembered: HistoryLog = field(default_factory=HistoryLog)
    without_series: set[TargetId] = field(default_factory=set)
    runs: list[Run] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    wanted: list[RunQuery] = field(default_factory=list)
    breaks: Exception | None = None
    older: RunCursor | None = None
    numbers: dict[str, AccountNumbers] = field(default_factory=dict)
    codes: dict[str, list[UnknownCode]] = field(default_factory=dict)
    job_rows: list[JobRow] = field(default_factory=list)
    listed: dict[Source, int] = field(default_factory=dict)
    not_accepted: dict[Rejection, int] = field(default_factory=dict)
    orphaned: set[str] = field(default_factory=set)

    def task_state(self, target: TargetId) -> TaskState | None:
        """Looked up."""
        return next((state for state in self.tasks() if state.target.id == target), None)

    def next_read(self, state: TaskState) -> NextRead | None:
        """As the test says."""
        return self.turns.get(state.target.id)

    def history(self, target: TargetId) -> TaskHistory:
        """From a real history."""
        return self.remembered.of(target)

    def has_series(self, target: TargetId) -> bool:
        """All but some."""
        return target not in self.without_series

    def account_of(self, app_id: str) -> str | None:
        """One account has nearly all apps."""
        return None if app_id in self.orphaned else "default"

    def stopped_runs(self, wanted: RunQuery) -> FoundRuns:
        """All of them; what is wanted is kept."""
        if self.breaks is not None:
            raise self.breaks
        self.wanted.append(wanted)
        page = tuple(self.runs[wanted.offset : wanted.offset + wanted.limit])
        return FoundRuns(len(self.runs), page, tuple(self.labels for _ in page), self.older, self.older is None)

    def accounts(self) -> dict[str, AccountNumbers]:
        """As the test says."""
        return self.numbers

    def unknown_codes(self) -> dict[str, list[UnknownCode]]:
        """As the test says."""
        return self.codes

    def jobs(self) -> list[JobRow]:
        """As the test says."""
        return self.job_rows

    def by_source(self) -> dict[Source, int]:
        """As the test says."""
        return self.listed

    def rejected(self) -> dict[Rejection, int]:
        """As the test says."""
        return self.not_accepted


@dataclass
class FakeExporter:
    """What the pages are told; `problems` make a reload fail, `failures` are what was reported as unforeseen.

    `policy` is the web config file's.
    """

    exposition: Exposition = field(default_factory=small_exposition)
    alive: bool = True
    not_ready: str = ""
    tasks: Mapping[TaskCountKey, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    breaks: Exception | None = None
    reloads: int = 0
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    push: FakePush = field(default_factory=FakePush)
    callbacks: FakeCallbacks = field(default_factory=FakeCallbacks)
    config: Config = field(default_factory=Config)
    secrets: dict[Source, FakeTokens] = field(
        default_factory=lambda: {Source.PUSH: FakeTokens(), Source.CALLBACK: FakeTokens()}
    )
    flags: Mapping[str, str] = field(default_factory=dict)
    uptime: float = 0.0
    states: list[TaskState] = field(default_factory=list)
    dismissed: list[TargetId] = field(default_factory=list)
    policy: CurrentPolicy = field(default_factory=CurrentPolicy)

    def __post_init__(self) -> None:
        self.queries = FakeQueries(self.tracked)
        self._seen: list[TaskState] | None = None
        self._with_problems: list[TaskState] = []

    def counts(self) -> Mapping[TaskCountKey, int]:
        """As in the real one, unless it `breaks`."""
        if self.breaks is not None:
            raise self.breaks
        return self.tasks

    def dismiss(self, target: TargetId) -> bool:
        """Remember it; False for what is not tracked."""
        self.dismissed.append(target)
        return self.queries.task_state(target) is not None

    def tracked(self) -> list[TaskState]:
        """As the test says."""
        if self._seen is not self.states:
            self._seen, self._with_problems = self.states, with_problems(self.states)
        return self._with_problems

    def reload(self) -> None:
        """Count it, and fail if there are problems."""
        self.reloads += 1
        if self.problems:
            raise ConfigError(self.problems)

    def failed(self, what: str, error: Exception) -> None:
        """Remember it."""
        self.failures.append((what, error))


@dataclass(frozen=True)
class Site:
    """A served site and a client of it."""

    exporter: FakeExporter
    client: httpx.Client

    def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        """One request; header names may be written with `_`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, path, headers=named)

    def send(self, method: str, body: bytes | str, token: str | None = None, **headers: str) -> httpx.Response:
        """A push of `body`, with the good token unless another is given; `token=""` sends no header."""
        token = TOKEN if token is None else token
        if token:
            headers |= {"Authorization": f"Bearer {token}"}
        named = {name.replace("_", "-"): value for name, value in {"Content_Type": JSON, **headers}.items()}
        return self.client.request(method, "/api/v1/targets", content=body, headers=named)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One GET."""
        return self.ask("GET", path, **headers)


Serve = Callable[[FakeExporter], Site]


@contextmanager
def serving(
    make_site: Callable[[ExporterApi, Callable[[str, Exception], None], CurrentPolicy], Starlette],
) -> Iterator[Serve]:
    """One listener for all tests: its site passes each request on to the exporter of the test that runs."""
    exporters = [FakeExporter()]

    class Current:
        def __getattr__(self, name: str) -> object:
            return getattr(exporters[0], name)

    def failed(what: str, error: Exception) -> None:
        exporters[0].failed(what, error)

    exporter: ExporterApi = cast("ExporterApi", Current())
    policy = CurrentPolicy()
    app = make_site(exporter, failed, policy)
    listener = Listener(app, bind("127.0.0.1:0"), failed)
    listener.start()
    with web_client.client(listener.url) as client:

        def serve(exporter: FakeExporter) -> Site:
            exporters[0] = exporter
            exporter.policy, policy.now = policy, WebPolicy()
            app.state.unsigned = TokenBucket(UNSIGNED_PER_SECOND, UNSIGNED_BURST)
            return Site(exporter, client)

        yield serve
    listener.stop()


@pytest.fixture(scope="session")
def served() -> Iterator[Serve]:
    """The main listener."""
    with serving(create_app) as serve:
        yield serve


@pytest.fixture(scope="session")
def callback_served() -> Iterator[Serve]:
    """The listener for callbacks alone."""
    with serving(create_callback_app) as serve:
        yield serve


@pytest.fixture
def site(served: Serve) -> Site:
    """A healthy exporter's site."""
    return served(FakeExporter())


@pytest.fixture
def callback_site(callback_served: Serve) -> Site:
    """A healthy exporter's listener for callbacks alone."""
    return callback_served(FakeExporter())
