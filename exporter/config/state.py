"""`state`: where that is kept which outlives the process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import PlainSerializer, PlainValidator

from exporter.config.fields import Section
from exporter.config.texts import text

MEMORY_URL: Final = "sqlite://"
SQLITE_PREFIX: Final = "sqlite:///"
POSTGRESQL_PREFIX: Final = "postgresql+psycopg://"
FORMS: Final = (
    "must be sqlite:///FILE, sqlite:////ABSOLUTE/FILE, sqlite:// to keep it in memory only, "
    "or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
)


@dataclass(frozen=True, slots=True, repr=False)
class StateUrl:
    """A state's URL. PostgreSQL's may hold a password: `whole` is for connecting, `str()` is for people."""

    whole: str

    @property
    def path(self) -> Path | None:
        """The SQLite file, relative to the working directory; None for another engine, and for memory only."""
        path = self.whole.removeprefix(SQLITE_PREFIX)
        return Path(path) if path != self.whole else None

    @property
    def is_shared(self) -> bool:
        """Whether other machines can reach it."""
        return self.whole.startswith(POSTGRESQL_PREFIX)

    def __str__(self) -> str:
        """The URL as far as it may be shown: without a password, and without what stands after a question mark."""
        if not self.is_shared:
            return self.whole
        address = self.whole.partition("?")[0].removeprefix(POSTGRESQL_PREFIX)
        user, at, place = address.rpartition("@")
        name, colon, _ = user.partition(":")
        return f"{POSTGRESQL_PREFIX}{name}{':<secret>' if colon else ''}{at}{place}"

    def __repr__(self) -> str:
        """The same, as all of a configuration may end up in a log."""
        return f"StateUrl({str(self)!r})"


def _url(raw: object) -> StateUrl:
    """No sentence repeats the URL: it may hold a password."""
    url = raw.whole if isinstance(raw, StateUrl) else text(raw)
    path = url.removeprefix(SQLITE_PREFIX)
    is_file = path not in {url, "", ":memory:"} and not set(path) & set("?#\0")
    if not (url == MEMORY_URL or is_file or _is_postgresql(url)):
        raise ValueError(FORMS)
    return StateUrl(url)


def _is_postgresql(url: str) -> bool:
    """Whether it names a server and a database."""
    if not url.startswith(POSTGRESQL_PREFIX) or not url.isprintable() or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.path.strip("/") and parts.port != 0)
    except ValueError:
        return False


class Ha(Section):
    """`ha`: several processes over one state, of which one reads."""

    enabled: bool = False


class State(Section):
    """One state."""

    url: Annotated[StateUrl, PlainValidator(_url), PlainSerializer(str)] = StateUrl("sqlite:///webcast-exporter.db")

    @property
    def path(self) -> Path | None:
        """As the URL's."""
        return self.url.path
