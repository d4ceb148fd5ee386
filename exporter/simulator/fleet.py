"""The tasks there are: what was started, what was stopped, and in a demo fleet what lives on by itself."""

from collections.abc import Callable, Mapping
from random import Random
from threading import Lock

from exporter.model.target import TargetId
from exporter.simulator.agenda import Agenda
from exporter.simulator.lives import Life, Plan, begin
from exporter.simulator.member import Member, Successor
from exporter.simulator.notices import Notice
from exporter.simulator.scenery import HABITS, TEAMS, demo_target, next_life, opening_life


class Fleet:
    """All tasks of a simulation, safe to use from several threads. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float], speed: float = 1.0) -> None:
        self.clock = clock
        self.speed = speed
        self._members: dict[TargetId, Member] = {}
        self._agenda = Agenda()
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
        with self._lock:
            at = self._now()  # within the lock: what `due` has given is past, and a stop must not undo it
            member = self._members.get(target)
            if member is None or not member.goes_on(at):
                return False
            member.stop(at)
            return True

    def follow(self) -> None:
        """From now on have `due` give what happens; for one listener at a time."""
        with self._lock:
            self._agenda.open(self._now())
            for member in self._members.values():
                member.tell_all()

    def unfollow(self) -> None:
        """Have `due` give nothing more."""
        with self._lock:
            self._agenda.close()

    def due(self) -> list[Notice]:
        """Every notice that came due since it was last asked; cheap, however many tasks there are."""
        with self._lock:
            at = self._now()
            for target in self._agenda.births(at):
                self._members[target].catch_up(at)
            return self._agenda.take(at)

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

    def _now(self) -> int:
        """Unix milliseconds."""
        return round(self.clock() * 1000)

    def _put(
        self,
        target: TargetId,
        life: Life,
        labels: Mapping[str, str] | None = None,
        successor: Successor | None = None,
    ) -> None:
        member = self._members.setdefault(target, Member(target, self._agenda))
        member.labels = member.labels if labels is None else labels
        member.successor = successor
        member.receive(life)
