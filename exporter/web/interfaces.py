"""What the HTTP side needs of the exporter; `exporter.service` implements it for the leader and for a standby."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from exporter.config.credentials import TokenFile
from exporter.config.schema import Config
from exporter.discovery.sd_format import TargetGroup
from exporter.enums import CallbackOutcome, Rejection, Source
from exporter.metrics.exposition import Exposition
from exporter.metrics.self_metrics import AccountNumbers
from exporter.metrics.series_cache import TaskCountKey
from exporter.metrics.task_history import TaskHistory
from exporter.model.target import TargetId
from exporter.model.task_state import Lifetimes, NextRead, TaskState
from exporter.store.run_table import FoundRuns, RunQuery
from exporter.volcengine.callbacks import CallbackShape
from exporter.volcengine.error_mapping import UnknownCode

ReportError = Callable[[str, Exception], None]
"""Counts and logs an unexpected error: where it happened, and the error."""


class Reload(NamedTuple):
    """The latest load of the configuration: whether it is in force, and when (Unix seconds)."""

    good: bool
    at: float


class JobRow(NamedTuple):
    """One periodic job; `last_run` and `next_run` are Unix seconds, `interval` and `duration` seconds."""

    name: str
    interval: float
    last_run: float | None
    duration: float | None
    next_run: float | None
    errors: int


class CallbackRecord(NamedTuple):
    """One received callback: its shape, without values of EventData, its outcome, and how many seconds ago it came."""

    shape: CallbackShape
    outcome: CallbackOutcome
    age: float


class PushHandler(Protocol):
    """The pushed targets. A change is committed to the state before a call returns.

    StateError and StartError mean that the state cannot be used and nothing has changed.
    """

    def update(self, groups: list[TargetGroup], *, replace: bool) -> int:
        """Add and renew these targets, or replace the list if `replace`; return their number. BadTargets: no change."""

    def release(self, target: TargetId, *, now: bool) -> bool:
        """End a target's listing by push and callback, `now` without a drain; what has stopped or is dark is removed.

        False when it is no target; BadTargets when another source lists it and it goes on.
        """


class CallbackHandler(Protocol):
    """The vendor's callbacks."""

    def recent(self) -> list[CallbackRecord]:
        """The last callbacks, the latest first."""

    def receive(self, body: bytes) -> CallbackOutcome:
        """Verify and apply one body; StateError or StartError when it is not committed and must be sent again."""


class ExporterQueries(Protocol):
    """Read-only questions of the pages and the JSON API; times are Unix seconds."""

    @property
    def now(self) -> float:
        """The wall clock."""

    @property
    def lifetimes(self) -> Lifetimes:
        """The waits of the configuration."""

    @property
    def reload(self) -> Reload | None:
        """The latest load of the configuration; None before the first."""

    def task_state(self, target: TargetId) -> TaskState | None:
        """The state of a target; None when it is not tracked."""

    def next_read(self, state: TaskState) -> NextRead | None:
        """When a target is read next; None while no account reads it."""

    def history(self, target: TargetId) -> TaskHistory:
        """The last reads and status changes of a target."""

    def has_series(self, target: TargetId) -> bool:
        """Whether the next scrape shows the target."""

    def account_of(self, app_id: str) -> str | None:
        """The account that reads an app; None when there is none."""

    def stopped_runs(self, wanted: RunQuery) -> FoundRuns:
        """Stopped runs of the state; StateError when it cannot be read now."""

    def accounts(self) -> Mapping[str, AccountNumbers]:
        """The figures of each account's polling."""

    def unknown_codes(self) -> Mapping[str, Sequence[UnknownCode]]:
        """Each account's API error codes that the vendor does not document, the latest first."""

    def jobs(self) -> Sequence[JobRow]:
        """The periodic jobs of the scheduler, by name."""

    def by_source(self) -> Mapping[Source, int]:
        """How many targets each source lists."""

    def rejected(self) -> Mapping[Rejection, int]:
        """How many listed entries are not accepted."""


class ReplicaApi(Protocol):
    """What a leader and a standby both offer."""

    exposition: Exposition

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def secrets(self) -> Mapping[Source, TokenFile]:
        """Who may push and call back; without a row it is switched off."""

    @property
    def push(self) -> PushHandler:
        """The pushed targets."""

    @property
    def callbacks(self) -> CallbackHandler:
        """The vendor's callbacks."""

    @property
    def alive(self) -> bool:
        """Whether the scheduler, or on a standby the election, has moved lately. Must not block."""

    @property
    def not_ready(self) -> str:
        """Why it is not ready yet, as a sentence; empty once it is. Must not block."""

    def reload(self) -> None:
        """Reload the configuration; ConfigError when it is bad and the old one stays."""


class ExporterApi(ReplicaApi, Protocol):
    """The exporter that reads the tasks."""

    @property
    def queries(self) -> ExporterQueries:
        """Questions of the pages."""

    @property
    def flags(self) -> Mapping[str, str]:
        """The command line's flags in force."""

    @property
    def uptime(self) -> float:
        """Seconds since the start."""

    def dismiss(self, target: TargetId) -> bool:
        """Remove a stopped or dark task until it runs again; False when it is not tracked."""

    def tracked(self) -> list[TaskState]:
        """The state of every target."""

    def counts(self) -> Mapping[TaskCountKey, int]:
        """The values of `webcast_tasks`."""
