"""One read of one target, and its outcome."""

from dataclasses import dataclass

from exporter.errors import ReadError
from exporter.model.target import TargetId
from exporter.model.task import Task


@dataclass(frozen=True, slots=True)
class ReadResult:
    """One read of one target. `calls` were made for it: two when the first one met a stale connection.

    `at` is the local clock when it was over and `server_time` the vendor's clock at that moment (its Date header;
    equal to `at` without one), both Unix seconds. `elapsed` is from sending to the whole answer and `waited` the time
    spent waiting for the budget, in seconds. `skew` is the server's clock minus ours, None without a Date header.
    `unexpected` names the reply's fields whose value is missing or not what the vendor documents.
    """

    target: TargetId
    at: float
    server_time: float
    elapsed: float
    outcome: Task | ReadError
    waited: float = 0.0
    skew: float | None = None
    unexpected: tuple[str, ...] = ()
    calls: int = 1

    @property
    def task(self) -> Task | None:
        """The task, if the read succeeded."""
        return self.outcome if isinstance(self.outcome, Task) else None

    @property
    def error(self) -> ReadError | None:
        """The error, if it failed."""
        return self.outcome if isinstance(self.outcome, ReadError) else None
