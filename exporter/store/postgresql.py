"""PostgreSQL connections that give up a silent server, whatever its kernel acknowledges."""

from time import monotonic
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.abc import RV, PQGen
from sqlalchemy.engine import URL, Engine
from sqlalchemy.pool import QueuePool, StaticPool

TIMEOUTS: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 2000,
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "application_name": "webcast-exporter",
}
"""libpq's parameters, in force unless the state's URL has another value."""
SERVER_OPTIONS: Final = (
    "-c statement_timeout=3000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=2000 -c client_encoding=UTF8"
)
"""The server's side of the timeouts; options of the URL come after these, so that none is lost."""
SILENCE: Final = 3.0
"""Seconds without a byte from the server after which a statement fails and its connection is closed."""

POOL_SIZE: Final = 4
RECYCLE_SECONDS: Final = 300


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection whose statements fail after `silence` seconds without a byte from the server.

    statement_timeout is kept by the server and tcp_user_timeout by its kernel; a server that is stopped (SIGSTOP), or a
    proxy that swallows, answers to neither.
    """

    silence: float = SILENCE

    def wait(self, gen: PQGen[RV], interval: float = 0.1, *args: Any, **kwargs: Any) -> RV:
        """Run one exchange with the server; OperationalError when it stays silent."""
        return super().wait(self._unless_silent(gen), interval, *args, **kwargs)

    def _unless_silent(self, gen: PQGen[RV]) -> PQGen[RV]:
        """Send READY_NONE (0) to `gen` in each `interval` in which nothing can be read or written."""
        heard_at = monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard_at = monotonic()
                elif monotonic() - heard_at >= self.silence:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {self.silence:g} s")
                wanted = gen.send(ready)
        except StopIteration as done:
            value: RV = done.value
            return value


def connect(url: URL, *, silence: float = SILENCE) -> DeadlineConnection:
    """Connect for any role: the state URL's own parameters, and every timeout that they do not set."""
    connection = DeadlineConnection.connect(**connection_arguments(url))
    connection.silence = silence
    return connection


def writer_engine(url: URL) -> Engine:
    """An engine with one connection."""
    return sa.create_engine(url, creator=lambda: connect(url), poolclass=StaticPool, hide_parameters=True)


def pooled_engine(url: URL) -> Engine:
    """An engine with a few connections, none of them older than RECYCLE_SECONDS."""
    return sa.create_engine(
        url,
        creator=lambda: connect(url),
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def connection_arguments(url: URL) -> dict[str, Any]:
    """Libpq's parameters for a state URL."""
    arguments = url.get_dialect()().create_connect_args(url)[1]
    given = {name: " ".join(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    return {**TIMEOUTS, **given, "options": f"{SERVER_OPTIONS} {given.get('options', '')}".strip()}
