"""The tasks there are: what was started, what was stopped, and in a demo fleet what lives on by itself."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from threading import Lock

from exporter.model.target import TargetId
from exporter.simulator.lives import Ending, Life, Plan, begin, ended
from exporter.simulator.scenery import HABITS, TEAMS, demo_target, next_life, opening_life

LIVES_KEPT = 1000
"""Of one task; older ones are forgotten."""

Successor = Callable[[int, int], Life]
"""From the number of a life and the end of the one before (Unix milliseconds) to that life.

It is created after that end; one that is not never comes.
"""


def _lives() -> deque[Life]:
    return deque(maxlen=LIVES_KEPT)


@dataclass(slots=True)
class _Member:
    labels: Mapping[str, str]
    successor: Successor | None = None
    lives: deque[Life] = field(default_factory=_lives)
    born: int = 0
    upcoming: Life | None = None

    def receive(self, life: Life) -> None:
        self.lives.append(life)
        self.born += 1
        self.expect()

    def expect(self) -> None:
        end = self.lives[-1].end
        self.upcoming = None
        if self.successor is not None and end is not None:
            following = self.successor(self.born, end)
            self.upcoming = following if following.created > end else None

    def goes_on(self, at: int) -> bool:
        self.catch_up(at)
        end = self.lives[-1].end
        return end is None or end > at

    def catch_up(self, at: int) -> None:
        while self.upcoming is not None and self.upcoming.created <= at:
            self.receive(self.upcoming)


class Fleet:
    """All tasks of a simulation, safe to use from several threads. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float], speed: float = 1.0) -> None:
        self.clock = clock
        self.speed = speed
        self._members: dict[TargetId, _Member] = {}
        self._lock = Lock()

    @classmethod
    def demo(cls, tasks: int, speed: float, seed: int, clock: Callable[[], float]) -> "Fleet":
        """A fleet met in the middle of its day: all states at once, each task beginning anew after its end."""
        fleet = cls(clock, speed)
        for index in range(tasks):
            target = demo_target(index)
            habit = HABITS[index % len(HABITS)]

            def following(number: int, end: int, target: TargetId = target, index: int = index) -> Life:
                dice = Random(f"{seed}/{target}/{number}")
                return next_life(HABITS[index % len(HABITS)], dice, end, speed)

            opening = opening_life(habit, Random(f"{seed}/{target}/0"), clock(), speed)
            fleet.add(target, opening, labels={"team": TEAMS[index % len(TEAMS)]}, successor=following)
        return fleet

    def add(
        self,
        target: TargetId,
        life: Life,
        *,
        labels: Mapping[str, str] | None = None,
        successor: Successor | None = None,
    ) -> None:
        """Put a life under an id; lives already there stay in its past, and so do labels when none are given."""
        with self._lock:
            self._put(target, life, labels, successor)

    def begin(self, target: TargetId, plan: Plan, *, age: float = 0.0) -> Life:
        """Let a plan come true at the fleet's speed; it was created `age` seconds ago."""
        life = begin(plan, self.clock() - age, self.speed)
        self.add(target, life)
        return life

    def start(self, target: TargetId, life: Life) -> bool:
        """What StartWebcast does; False when the task's last life goes on, and nothing begins."""
        with self._lock:
            member = self._members.get(target)
            if member is not None and member.goes_on(life.created):
                return False
            self._put(target, life)
            return True

    def stop(self, target: TargetId) -> bool:
        """What StopWebcast does; False when there is nothing live to stop."""
        at = round(self.clock() * 1000)
        with self._lock:
            member = self._members.get(target)
            if member is None or not member.goes_on(at):
                return False
            member.lives[-1] = ended(member.lives[-1], at, Ending.STOPPED_BY_API)
            member.expect()
            return True

    def life(self, target: TargetId, at: int) -> Life | None:
        """The latest life of a task at `at` (Unix milliseconds, not before an earlier question's)."""
        with self._lock:
            member = self._members.get(target)
            if member is None:
                return None
            member.catch_up(at)
            return member.lives[-1]

    def lives(self, at: int) -> dict[TargetId, tuple[Life, ...]]:
        """Every life of every task that was created until `at` (Unix milliseconds), oldest first."""
        with self._lock:
            for member in self._members.values():
                member.catch_up(at)
            return {target: tuple(member.lives) for target, member in self._members.items()}

    def targets(self) -> dict[TargetId, Mapping[str, str]]:
        """Every task's labels."""
        with self._lock:
            return {target: dict(member.labels) for target, member in self._members.items()}

    def _put(
        self,
        target: TargetId,
        life: Life,
        labels: Mapping[str, str] | None = None,
        successor: Successor | None = None,
    ) -> None:
        member = self._members.setdefault(target, _Member({}))
        member.labels = member.labels if labels is None else labels
        member.successor = successor
        member.receive(life)
