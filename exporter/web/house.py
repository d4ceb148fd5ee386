"""What the web needs of the exporter, and no more."""

from collections.abc import Mapping
from typing import Protocol

from exporter.discovery.sd_format import TargetGroup
from exporter.enums import CallbackOutcome
from exporter.metrics.scrape import Exposition
from exporter.metrics.series_cache import TaskCountKey
from exporter.model.target import TargetId
from exporter.model.task_state import TaskState
from exporter.web.insight import Insight
from exporter.web.recent import Seen


class Push(Protocol):
    """The pushed targets. Each change is in the state, and in force, once the call comes back.

    StateError or StartError when the state cannot be used; nothing has changed then.
    """

    @property
    def on(self) -> bool:
        """Whether targets can be pushed."""
        ...

    def admits(self, token: str) -> bool:
        """Whether whoever shows this token may push."""
        ...

    def name(self, groups: list[TargetGroup], *, whole: bool) -> int:
        """Add and renew these, as the `whole` list if so; how many they are. BadTargets: nothing has changed."""
        ...

    def release(self, target: TargetId, *, now: bool) -> bool:
        """End a target's listing by push, `now` without a drain; False when no push lists it."""
        ...


class Callbacks(Protocol):
    """What the vendor calls back."""

    @property
    def on(self) -> bool:
        """Whether callbacks are taken."""
        ...

    @property
    def apart(self) -> bool:
        """Whether they come to a listener of their own."""
        ...

    def recent(self) -> list[Seen]:
        """The last ones, the latest first."""
        ...

    def take(self, body: bytes) -> CallbackOutcome:
        """Take one body in; StateError or StartError when it is not in the state and is to be sent again."""
        ...


class House(Protocol):
    """The running exporter as the pages see it."""

    exposition: Exposition

    @property
    def push(self) -> Push:
        """The pushed targets."""
        ...

    @property
    def callbacks(self) -> Callbacks:
        """What the vendor calls back."""
        ...

    @property
    def insight(self) -> Insight:
        """What people may look into."""
        ...

    def tracked(self) -> list[TaskState]:
        """What is known of every target."""
        ...

    @property
    def flags(self) -> Mapping[str, str]:
        """The command line's flags in force."""
        ...

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        ...

    @property
    def alive(self) -> bool:
        """Whether the dispatcher has moved lately."""
        ...

    @property
    def not_ready(self) -> str:
        """Why it is not ready yet, as a sentence; empty once it is."""
        ...

    def counts(self) -> Mapping[TaskCountKey, int]:
        """How many tasks count under which labels of `webcast_tasks`."""
        ...

    def reload(self) -> None:
        """Reload the configuration; ConfigError when it is bad and the old one stays."""
        ...
