"""The tracker: all that is known of every target, and where each change of it goes.

A change goes one way: known -> ledger (what must be counted) -> board (what is shown). Nothing else holds state of a
task, so what is forgotten here is gone everywhere.
"""

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock

from exporter.exposition.board import Board
from exporter.ledger.ledger import Ledger
from exporter.model.clock import Clock
from exporter.model.known import Known, Lifetimes, accept, expire, expires_at, is_hidden, learn, let_go, retarget
from exporter.model.reading import Reading
from exporter.model.run import Run, Step
from exporter.model.target import Target, TargetId

AT_A_TIME = 1000
"""So many targets at most are looked at in one `expire`: a whole fleet that falls due at once must not stop a beat."""


class Tracker:
    """What is known of each target. Safe for threads; the lock is held for a fold, never for a write or a call.

    `fresh_for` tells how long a read stays fresh at least, in seconds, by the intervals now in force.
    """

    def __init__(self, ledger: Ledger, lifetimes: Lifetimes, clock: Clock, fresh_for: Callable[[Known], float]) -> None:
        self.lifetimes = lifetimes
        self._fresh_for = fresh_for
        self._ledger = ledger
        self._clock = clock
        self._lock = Lock()
        self._known: dict[TargetId, Known] = {}
        self._expiries: list[tuple[float, TargetId]] = []
        self._looks_at: dict[TargetId, float] = {}
        self._forgotten: set[TargetId] = set()
        self._board: Board | None = None

    def attach(self, board: Board) -> None:
        """Show what is known, and every change of it, on `board`."""
        self._board = board

    def get(self, target: TargetId) -> Known | None:
        """What is known of a target, None when it is not tracked."""
        return self._known.get(target)

    def all(self) -> list[Known]:
        """What is known of every target."""
        with self._lock:
            return list(self._known.values())

    def replace_targets(self, targets: Mapping[TargetId, Target], remembered: Mapping[TargetId, Run]) -> None:
        """Take over a new list: add, change, and let go. `remembered` are the ledger's latest runs."""
        now = self._clock.unix()
        for app_id in {target.app_id for target in targets}:
            self._ledger.open_app(app_id)
        with self._lock:
            for gone in [target for target in self._known if target not in targets]:
                self._settle(gone, let_go(self._known[gone], now, self.lifetimes), now)
            for target in targets.values():
                before = self._known.get(target.id)
                known = accept(target, remembered.get(target.id), now) if before is None else retarget(before, target)
                if known != before:
                    self._settle(target.id, known, now)
        self._ledger.flush()

    def learn(self, reading: Reading) -> Known | None:
        """Take a read in; None when its target is tracked no more, be it by this very read."""
        with self._lock:
            known = self._known.get(reading.target)
            if known is None:
                return None
            learnt, step = learn(known, reading)
            self._ledger.record(step)
            self._settle(reading.target, learnt, self._clock.unix())
            after = self._known.get(reading.target)
        self._ledger.flush()
        return after

    def expire(self) -> list[TargetId]:
        """Apply what has fallen due with time alone; returns the targets forgotten since it was last asked."""
        now = self._clock.unix()
        with self._lock:
            for _ in range(AT_A_TIME):
                if not self._expiries or self._expiries[0][0] > now:
                    break
                moment, target = heapq.heappop(self._expiries)
                if self._looks_at.get(target) == moment:
                    del self._looks_at[target]
                    self._settle(target, self._known[target], now)
            forgotten = list(self._forgotten)
            self._forgotten.clear()
        self._ledger.flush()
        return forgotten

    def __len__(self) -> int:
        """How many targets are tracked, those without series included."""
        return len(self._known)

    def _settle(self, target: TargetId, known: Known | None, now: float) -> None:
        """Apply what is due, keep what is left, show it, and note when to look again."""
        step = Step()
        if known is not None:
            # Asked anew each time: when the fleet grows, the intervals stretch, and nothing is stale for that alone.
            fresh_for = self._fresh_for(known)
            known = known if known.fresh_for == fresh_for else replace(known, fresh_for=fresh_for)
            known, step = expire(known, now, self.lifetimes)
        self._ledger.record(step)
        if known is None:
            self._known.pop(target, None)
            self._looks_at.pop(target, None)
            self._forgotten.add(target)
        else:
            self._known[target] = known
            self._forgotten.discard(target)
            self._look_again(target, expires_at(known, now, self.lifetimes))
        self._show(target, known, now)

    def _look_again(self, target: TargetId, moment: float | None) -> None:
        """Note the moment, unless an earlier look is noted already: that one will note the next."""
        if moment is not None and moment < self._looks_at.get(target, math.inf):
            self._looks_at[target] = moment
            heapq.heappush(self._expiries, (moment, target))

    def _show(self, target: TargetId, known: Known | None, now: float) -> None:
        if self._board is None:
            return
        if known is None or is_hidden(known, now, self.lifetimes):
            self._board.hide(target)
        else:
            self._board.show(known)
