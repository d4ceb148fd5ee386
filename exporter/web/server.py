"""uvicorn's server, with an end to each kind of waiting and to the number of clients.

uvicorn has a limit for idle connections alone. Without others a client that sends no whole head, or does not read its
answer, stays for as long as it likes, and enough of them leave no file descriptor for a scrape.
"""

import asyncio
import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import NamedTuple, cast

import uvicorn

from exporter.web.connection import PATIENCE, Connection, Wait
from exporter.web.tls import Tls

MOST_CONNECTIONS = 512
HANDSHAKE = 10.0
"""Seconds for a TLS handshake, and as many for its end."""
TICKS_A_LOOK = 10
"""uvicorn's ticks, ten a second, between two looks at all connections."""
PAUSE = 0.1
"""Seconds until the next try after a connection could not be accepted."""


class _Greeting(NamedTuple):
    """A client that was accepted and is still shaking hands."""

    task: "asyncio.Task[None]"
    number: int
    since: float


def most_connections(share: int) -> int:
    """How many clients there may be at once: one part in `share` of what may be open at most."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, max(1, soft // share))


class Server(uvicorn.Server):
    """Serves on sockets that listen already. `tls` is asked at each new connection, None means plain HTTP.

    One client more than `most` costs that one its connection which has waited longest, one that is being served
    last of all. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        tls: Callable[[], Tls | None],
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config)
        self._tls = tls
        self._most = most
        self._clock = clock
        self._accepting: list[asyncio.Task[None]] = []
        self._greetings: set[_Greeting] = set()
        self._numbers = count()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept from now on."""
        self.servers = []
        for listening in sockets or ():
            listening.settimeout(0)
            self._accepting.append(asyncio.create_task(self._accept(listening)))
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end. What has broken down while accepting is raised."""
        for task in self._accepting:
            if task.done():
                task.result()
        if counter % TICKS_A_LOOK == 0:
            self._break_off()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, let what is being answered be answered for a moment, and cut the rest."""
        for task in (*self._accepting, *(greeting.task for greeting in self._greetings)):
            task.cancel()
        await super().shutdown(sockets)
        for connection in self._connections():
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listening)
            except OSError:  # the client has gone, or there is no descriptor left for it
                self._make_room(self._most)
                await asyncio.sleep(PAUSE)
                continue
            self._make_room(self._most - 1)
            self._greet(client)
            await asyncio.sleep(0)  # those who are here get their turn, however many come

    def _greet(self, client: socket.socket) -> None:
        number, now = next(self._numbers), self._clock()
        greeting = _Greeting(asyncio.create_task(self._connect(client, number, now)), number, now)
        self._greetings.add(greeting)
        greeting.task.add_done_callback(lambda _: self._greetings.discard(greeting))

    async def _connect(self, client: socket.socket, number: int, now: float) -> None:
        loop, tls = asyncio.get_running_loop(), self._tls()
        limits = {"ssl_handshake_timeout": HANDSHAKE, "ssl_shutdown_timeout": PATIENCE[Wait.END]} if tls else {}
        with suppress(OSError):  # no handshake, or the client has gone
            await loop.connect_accepted_socket(
                lambda: Connection(self.config, self.server_state, tls, number, now),
                client,
                ssl=tls.context if tls else None,
                **limits,
            )

    def _connections(self) -> list[Connection]:
        return cast("list[Connection]", [*self.server_state.connections])

    def _break_off(self) -> None:
        """Cut those on which nothing moves any more, and take leave of those who speak as one must no longer."""
        now, tls = self._clock(), self._tls()
        for connection in self._connections():
            if connection.tls is not tls:
                connection.shutdown()
            if PATIENCE[connection.look(now)] <= now - connection.since:
                connection.transport.abort()

    def _make_room(self, most: int) -> None:
        """Cut the longest waiting, so that there are `most` at most."""
        if len(self._greetings) + len(self.server_state.connections) <= most:
            return
        now = self._clock()
        waiting: dict[int, tuple[bool, float, Callable[[], object]]] = {
            each.number: (False, each.since, each.task.cancel) for each in self._greetings
        }
        for connection in self._connections():  # one whose handshake is just done may be among the greetings still
            served = connection.is_served(now)
            waiting[connection.number] = (served, connection.since, connection.transport.abort)
        order = sorted(waiting, key=lambda number: (*waiting[number][:2], number))
        for number in order[: max(0, len(order) - most)]:
            waiting[number][-1]()
