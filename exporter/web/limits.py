"""Limits on what clients can cost: rates, and worker threads for each kind of request."""

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

Result = TypeVar("Result")


class TokenBucket:
    """Admits `per_second` events in the long run, `burst` at once. Thread-safe; `monotonic` is a clock in seconds."""

    def __init__(self, per_second: float, burst: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._lock = Lock()
        self._tokens = burst
        self._updated_at = monotonic()

    def take(self) -> bool:
        """Take one token; False when there is none."""
        with self._lock:
            now = self._monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._updated_at) * self._per_second)
            self._updated_at = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True


TURNS = 4


class Turns:
    """Lets TURNS tasks of the event loop go on at a time, in the order in which they ask.

    However many responses are sent at once, one pass of the loop writes so many chunks: a probe waits for them alone.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = asyncio.Semaphore(TURNS)

    def next(self) -> asyncio.Semaphore:
        """What a task holds while it is its turn; a server that was started again has another loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._free = loop, asyncio.Semaphore(TURNS)
        return self._free


class Busy(Exception):
    """Too many requests of this kind wait already."""


class WorkerPool:
    """Worker threads for one kind of request: `at_once` run, `waiting` more wait, further ones are refused.

    Used from one event loop. Kinds have pools of their own, so that none waits behind another.
    """

    def __init__(self, at_once: int, waiting: float = math.inf) -> None:
        self._slots = CapacityLimiter(at_once)
        self._threads = CapacityLimiter(math.inf)
        self._max_waiting = waiting
        self._shared: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, work: Callable[..., Result], *args: object) -> Result:
        """Call `work` on a thread; Busy when too many wait."""
        if self._slots.statistics().tasks_waiting >= self._max_waiting:
            raise Busy
        return await self.finish(work, *args)

    async def finish(self, work: Callable[..., Result], *args: object) -> Result:
        """Call `work` on a thread, however many wait: for what has begun already."""
        async with self._slots:
            return await to_thread.run_sync(work, *args, limiter=self._threads)

    async def share(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Call `work` on a thread, once for all callers with this key that came before it began."""
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.create_task(self._run_shared(key, work))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # all callers may have left
        result: Result = await asyncio.shield(task)
        return result

    async def _run_shared(self, key: Hashable, work: Callable[[], Result]) -> Result:
        try:
            async with self._slots:
                del self._shared[key]
                return await to_thread.run_sync(work, limiter=self._threads)
        finally:
            if self._shared.get(key) is asyncio.current_task():
                del self._shared[key]
