"""How long a server may keep us waiting, and we it."""

from typing import Final

LEASE: Final = 2.0
"""Seconds. The server ends a session that is silent for so long, and its lock is free. Who has not proved its lock for
so long takes it for another's."""

BOUNDS: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 2000,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "application_name": "webcast-exporter",
    "options": "-c statement_timeout=3000 -c lock_timeout=1000",
}
"""libpq's parameters; a URL may say otherwise."""
