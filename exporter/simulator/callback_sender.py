"""Delivery of callbacks as the vendor documents it (docs 6348/69820): retries, duplicates, delays."""

import asyncio
import re
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

from exporter.simulator.fleet import Fleet
from exporter.simulator.lifecycle import CallbackEvent, callback_payload

MAX_DELIVERIES = 3
"""Of one event, the first among them."""
MAX_CONNECTIONS = 8
MAX_WAITING = 100_000
"""Events that may wait at once; more are given up, or a receiver that hangs would fill the memory."""
MAX_LOG = 100_000
MAX_ANSWER = 64 * 1024
POLL_INTERVAL = 0.05
SUCCESS = 200
PRINTABLE = re.compile(r"[!-~]+")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How the vendor delivers. Shares of all events are 0 to 1, times are seconds.

    `doubled`: delivered once more `interval` after its 200. `delayed`: first delivered up to `delay` late, hence out of
    order. `lost`: never delivered. An answer within `timeout` counts (docs: 5 s); the docs state no `interval`.
    """

    doubled: float = 0.0
    delayed: float = 0.0
    lost: float = 0.0
    delay: float = 3.0
    interval: float = 1.0
    timeout: float = 5.0


EXACT = DeliveryPolicy()
DEMO_DELIVERY = DeliveryPolicy(doubled=0.03, delayed=0.05)
"""As unreliable as the vendor's page allows, and nothing is lost, so that all can be counted."""


class DeliveryRecord(NamedTuple):
    """One delivery: when it was answered (Unix seconds), the HTTP status, 0 for no answer, and its number from 1."""

    at: float
    event_id: str
    http_status: int
    number: int


@dataclass(slots=True)
class DeliveryCounts:
    """How many events came due, and what became of those that do not wait any more."""

    due: int = 0
    delivered: int = 0
    given_up: int = 0
    lost: int = 0


def check_url(url: str) -> None:
    """ValueError with a sentence when callbacks cannot be posted to it."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and PRINTABLE.fullmatch(url)
    except ValueError as error:
        raise ValueError(f"{url[:200]!r} is no URL: {error}") from None
    if not good:
        raise ValueError(f"{url[:200]!r} is no http:// or https:// URL")


@dataclass(slots=True)
class CallbackSender:
    """Posts a fleet's events to a URL while it runs; ValueError for a bad URL. A fleet has one sender at a time."""

    fleet: Fleet
    url: str
    secret: str = field(repr=False)
    policy: DeliveryPolicy = EXACT
    rng: Random = field(default_factory=Random)
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    log: deque[DeliveryRecord] = field(default_factory=lambda: deque(maxlen=MAX_LOG))
    _connections: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONNECTIONS))

    def __post_init__(self) -> None:
        check_url(self.url)

    async def run(self) -> None:
        """Deliver what happens from now on, until it is cancelled."""
        self.fleet.follow()
        deliveries: set[asyncio.Task[None]] = set()
        try:
            while True:
                for event in self.fleet.due_events():
                    if self._accept(len(deliveries)):
                        delivery = asyncio.create_task(self._deliver(event))
                        deliveries.add(delivery)
                        delivery.add_done_callback(deliveries.discard)
                await asyncio.sleep(POLL_INTERVAL)
        finally:
            self.fleet.unfollow()
            for delivery in deliveries:
                delivery.cancel()

    def _accept(self, waiting: int) -> bool:
        self.counts.due += 1
        lost = self.rng.random() < self.policy.lost
        self.counts.lost += lost
        self.counts.given_up += not lost and waiting >= MAX_WAITING
        return not lost and waiting < MAX_WAITING

    async def _deliver(self, event: CallbackEvent) -> None:
        doubled, delayed = (self.rng.random() < share for share in (self.policy.doubled, self.policy.delayed))
        await asyncio.sleep(self.rng.uniform(0, self.policy.delay) if delayed else 0)
        delivered = False
        for number in range(1, MAX_DELIVERIES + 1):
            payload = callback_payload(event, self.secret, f"{self.rng.randrange(10_000):04d}")
            async with self._connections:
                status = await _post(self.url, payload, self.policy.timeout)
            self.log.append(DeliveryRecord(self.fleet.clock(), event.event_id, status, number))
            first = status == SUCCESS and not delivered
            self.counts.delivered += first
            if delivered or (first and not doubled):
                return
            delivered = first
            if number < MAX_DELIVERIES:
                await asyncio.sleep(self.policy.interval)
        self.counts.given_up += not delivered


async def _post(url: str, body: bytes, timeout: float) -> int:  # noqa: ASYNC109 - bounds the whole exchange
    """The HTTP status of the answer, 0 when there was none in time."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    context = ssl.create_default_context() if parts.scheme == "https" else None
    head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nContent-Type: application/json\r\n"
    writer = None
    try:
        async with asyncio.timeout(timeout):
            port = parts.port or (443 if context else 80)
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            status = STATUS_LINE.match(await reader.readline())
            await reader.read(MAX_ANSWER)
            return int(status[1]) if status else 0
    except (OSError, ValueError):  # the latter for a host name or a line that cannot be one
        return 0
    finally:
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
