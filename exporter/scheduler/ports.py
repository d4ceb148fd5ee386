"""What a poller is given: its account, and whom it hands its work to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task_state import TaskState
from exporter.scheduler.pool import Work


class Reader(Protocol):
    """The one call, as polling needs it (exporter.volcengine.client.Client)."""

    def read(self, target: TargetId, slot: float | None = None) -> ReadResult:
        """Make the call in its slot."""
        ...


class Budget(Protocol):
    """The pacing of calls, as polling needs it (exporter.volcengine.rate_limiter.Pacer)."""

    @property
    def configured(self) -> float:
        """Calls a second as configured."""
        ...

    @property
    def effective(self) -> float:
        """Calls a second in force."""
        ...

    def reserve(self, until: float) -> float | None:
        """The next slot, if there is one until then."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """One account as polling sees it.

    `generation` changes when its credentials do; `most_in_flight` is how many calls may be on their way at once.
    """

    name: str
    reader: Reader
    budget: Budget
    generation: Callable[[], int]
    most_in_flight: int


@dataclass(frozen=True, slots=True)
class Ports:
    """What a poller hands its work to and takes its circumstances from.

    `submit` runs a call on a thread of its own, and then on the same one what each call gives to follow it
    (RuntimeError: there is no thread); `learn` takes a reading in and says what is now known (None: the target is
    gone); `count` counts an attempt; `failed` is told of errors that nobody foresaw;
    `chance` gives [0, 1).
    """

    submit: Callable[[Work], None]
    apply_read: Callable[[ReadResult], TaskState | None]
    count: Callable[[str, ReadResult], None]
    failed: Callable[[str, Exception], None]
    chance: Callable[[], float]
