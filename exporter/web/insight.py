"""What the pages for people need of the exporter beyond its counts."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from exporter.config.schema import Config
from exporter.enums import Rejection, Source
from exporter.metrics.history import TaskHistory
from exporter.metrics.self_metrics import AccountNumbers
from exporter.model.target import TargetId
from exporter.model.task_state import Lifetimes, NextRead, TaskState
from exporter.store.stopped import Found, Wanted


class Reload(NamedTuple):
    """The latest (re)load of the configuration: whether it was put in force, and when (Unix seconds)."""

    good: bool
    at: float


class Insight(Protocol):
    """The running exporter as a person may look into it."""

    @property
    def now(self) -> float:
        """The wall clock, Unix seconds."""
        ...

    @property
    def config(self) -> Config:
        """The configuration in force."""
        ...

    @property
    def lifetimes(self) -> Lifetimes:
        """How long things are kept and waited for."""
        ...

    @property
    def reload(self) -> Reload | None:
        """The latest (re)load; None before the first."""
        ...

    def known(self, target: TargetId) -> TaskState | None:
        """What is known of a target, None when it is not tracked."""
        ...

    def turn(self, known: TaskState) -> NextRead | None:
        """When a target will be read next; None while no account reads it."""
        ...

    def recollected(self, target: TargetId) -> TaskHistory:
        """Its last reads and changes."""
        ...

    def has_series(self, target: TargetId) -> bool:
        """Whether the next scrape shows it."""
        ...

    def account_of(self, app_id: str) -> str | None:
        """Which account reads an app; None when no account does."""
        ...

    def stopped_runs(self, wanted: Wanted) -> Found:
        """Runs that have stopped; StateError when the state cannot be read now."""
        ...

    def accounts(self) -> Mapping[str, AccountNumbers]:
        """What each account's polling says of itself."""
        ...

    def by_source(self) -> Mapping[Source, int]:
        """How many targets each source lists."""
        ...

    def rejected(self) -> Mapping[Rejection, int]:
        """How many listed entries are not accepted."""
        ...
