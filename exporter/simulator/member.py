"""One task of a fleet: the lives it has had, and in a demo the one that comes next."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.model.target import TargetId
from exporter.simulator.agenda import Agenda
from exporter.simulator.lives import Ending, Life, ended

LIVES_KEPT = 1000
"""Of one task; older ones are forgotten."""

Successor = Callable[[int, int], Life]
"""From the number of a life and the end of the one before (Unix milliseconds) to that life.

It is created after that end; one that is not never comes.
"""


def _lives() -> deque[Life]:
    return deque(maxlen=LIVES_KEPT)


@dataclass(slots=True)
class Member:
    """What a fleet knows of one task; whatever changes in it is noted in the fleet's agenda."""

    target: TargetId
    agenda: Agenda
    labels: Mapping[str, str] = field(default_factory=dict)
    successor: Successor | None = None
    lives: deque[Life] = field(default_factory=_lives)
    born: int = 0
    upcoming: Life | None = None

    def receive(self, life: Life) -> None:
        """Make a life the latest."""
        self.lives.append(life)
        self.born += 1
        self.agenda.add(self.target, life)
        self._expect()

    def goes_on(self, at: int) -> bool:
        """Whether its latest life is not over at `at` (Unix milliseconds)."""
        self.catch_up(at)
        end = self.lives[-1].end
        return end is None or end > at

    def stop(self, at: int) -> None:
        """End the latest life by API at `at` (Unix milliseconds), at which it goes on."""
        life = self.lives[-1]
        self.lives[-1] = ended(life, at, Ending.STOPPED_BY_API)
        self.agenda.replace(self.target, life, self.lives[-1])
        self._expect()

    def catch_up(self, at: int) -> None:
        """Receive every life that is created until `at` (Unix milliseconds)."""
        while self.upcoming is not None and self.upcoming.created <= at:
            self.receive(self.upcoming)

    def tell_all(self) -> None:
        """Note in the agenda, which has just been opened, what is to come."""
        for life in self.lives:
            self.agenda.add(self.target, life)
        if self.upcoming is not None:
            self.agenda.expect(self.target, self.upcoming.created)

    def _expect(self) -> None:
        end = self.lives[-1].end
        self.upcoming = None
        if self.successor is not None and end is not None:
            following = self.successor(self.born, end)
            if following.created > end:
                self.upcoming = following
                self.agenda.expect(self.target, following.created)
