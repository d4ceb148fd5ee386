"""What is still to come of a fleet, by time, so that looking for what is due walks no task."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from exporter.model.target import TargetId
from exporter.simulator.lives import Life
from exporter.simulator.notices import Notice, notices


@dataclass(slots=True)
class Agenda:
    """The notices that have not come due yet, and the births of lives that are not there yet.

    It takes nothing until it is opened. Times are Unix milliseconds; the fleet's lock guards it.
    """

    _since: int | None = None
    _notices: list[tuple[int, int, Notice]] = field(default_factory=list)
    _births: list[tuple[int, TargetId]] = field(default_factory=list)
    _cancelled: Counter[Notice] = field(default_factory=Counter)
    _pushed: int = 0

    def open(self, since: int) -> None:
        """Begin anew, with what happens at `since` or later."""
        self.close()
        self._since = since

    def close(self) -> None:
        """Forget all, and take nothing any more."""
        self._since = None
        self._notices.clear()
        self._births.clear()
        self._cancelled.clear()

    def add(self, target: TargetId, life: Life) -> None:
        """Note all that a life will tell."""
        if self._since is None or (life.end is not None and life.end < self._since):
            return
        self._push(notices(target, life))

    def replace(self, target: TargetId, life: Life, changed: Life) -> None:
        """Put what a life tells now in place of what it was to tell."""
        if self._since is None:
            return
        before, after = Counter(notices(target, life)), Counter(notices(target, changed))
        self._cancelled.update(notice for notice in before - after if notice.at >= self._since)
        self._push(after - before)

    def expect(self, target: TargetId, created: int) -> None:
        """Note when the task's next life is created; `births` may tell of it though it has come by another way."""
        if self._since is not None:
            heappush(self._births, (created, target))

    def births(self, until: int) -> Iterator[TargetId]:
        """Take the tasks a life of which is created until then."""
        while self._births and self._births[0][0] <= until:
            yield heappop(self._births)[1]

    def take(self, until: int) -> list[Notice]:
        """Take the notices that have come due until then."""
        due = []
        while self._notices and self._notices[0][0] <= until:
            notice = heappop(self._notices)[2]
            if not self._is_cancelled(notice):
                due.append(notice)
        return due

    def _is_cancelled(self, notice: Notice) -> bool:
        """Whether it was taken back, which is then done with; marks are counted, for a frozen clock makes twins."""
        marks = self._cancelled.pop(notice, 0)
        if marks > 1:
            self._cancelled[notice] = marks - 1
        return marks > 0

    def _push(self, told: Iterable[Notice]) -> None:
        for notice in told:
            if self._since is not None and notice.at >= self._since:
                self._pushed += 1  # decides between two of one time, whose notices have no order
                heappush(self._notices, (notice.at, self._pushed, notice))
