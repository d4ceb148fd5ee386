"""One client's connection: uvicorn's, which knows besides for what it waits, and since when."""

import asyncio
from enum import Enum, auto
from typing import NamedTuple

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from exporter.web.tls import Tls

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than a usual scrape interval, so that scrapes reuse theirs."""


class Wait(Enum):
    """What a connection waits for."""

    HEAD = auto()
    """The whole head of a request: the first one, or one that has begun."""
    IDLE = auto()
    """The next request."""
    ANSWER = auto()
    """That an answer is made, and that the client takes it."""
    END = auto()
    """That the client takes the last of it, so that it can be closed."""


PATIENCE = {Wait.HEAD: 10.0, Wait.IDLE: KEEP_ALIVE + 5.0, Wait.ANSWER: 60.0, Wait.END: 10.0}
"""Seconds without any progress after which a connection is broken off. Of an idle one uvicorn takes leave earlier."""

TAKING = 2.0
"""Seconds without any progress after which a client that does not take its answer is no longer being served."""


class ConnectionState(NamedTuple):
    """For what it waits, after which request, and how many bytes the client has still to take: progress changes it."""

    wait: Wait
    request: RequestResponseCycle | None = None
    unsent: int = 0


class Connection(H11Protocol):
    """One whose client's certificate has none of the names that it must have is cut unheard.

    `number` counts the server's clients, `tls` is how this one speaks, and `since` is when it waits from, in the
    clock's seconds: from its coming on, or from when there was progress last.
    """

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, tls: Tls | None, number: int, since: float
    ) -> None:
        super().__init__(config, server_state, app_state={}, _loop=asyncio.get_running_loop())
        self.number = number
        self.since = since
        self.tls = tls
        self._refused = False
        self._state = ConnectionState(Wait.HEAD)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin, or refuse."""
        super().connection_made(transport)
        self._refused = self.tls is not None and not self.tls.admits(transport.get_extra_info("peercert"))
        if self._refused:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take it in."""
        if not self._refused:
            super().data_received(data)

    def shutdown(self) -> None:
        """End, once what is being answered is."""
        if not self.transport.is_closing():
            super().shutdown()

    def look(self, now: float) -> Wait:
        """For what it waits now."""
        state = self._stands()
        if state != self._state:
            self._state, self.since = state, now
        return state.wait

    def is_served(self, now: float) -> bool:
        """Whether its answer is being made, or being taken."""
        answered = self.look(now) is Wait.ANSWER
        return answered and not (self._state.unsent and now - self.since >= TAKING)

    def _stands(self) -> ConnectionState:
        unsent = self.transport.get_write_buffer_size()
        if self.transport.is_closing():
            return ConnectionState(Wait.END, self.cycle, unsent)
        request: RequestResponseCycle | None = self.cycle  # None before the first, whatever uvicorn's annotation says
        if unsent or (request and not request.response_complete):
            return ConnectionState(Wait.ANSWER, request, unsent)
        begun = request is None or self.conn.trailing_data[0]
        return ConnectionState(Wait.HEAD if begun else Wait.IDLE, request)
