"""What the sections of the configuration are made of: their base class and the types of their values.

Every check raises ValueError with a sentence that follows the key's path, and repeats no value: it may be a secret.
"""

import ipaddress
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from exporter.config.documents import typed
from exporter.config.times import parse_duration

FOLDER: Final = "folder"
"""The key of the validation context that holds the folder relative paths start from."""

HOST: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?")
LISTEN_ADDRESS: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-fA-F:.]{2,45}(?:%[\w.-]{1,32})?)\]|(?P<host>[\w.-]{1,253}))?:(?P<port>[0-9]{1,5})", re.ASCII
)
MAX_PORT: Final = 65_535
RESERVED_PREFIX: Final = "__"
"""Labels that speak to the exporter, and are never shown."""

YES_NO: Final = {"y": True, "Y": True, "n": False, "N": False}

VARIABLE: Final = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\{\{.*\}\}|^(\$[A-Za-z_]\w*|%[A-Za-z_]\w*%)$", re.DOTALL)
PLACEHOLDER: Final = re.compile(r"<+[^<>]*>+")
QUOTES: Final = ('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb")
ASSIGNMENT: Final = re.compile(
    r"(export\s+)?(VOLC_\w+|\w*(access|secret|session|push|callback)\w*(key|token|secret)\w*|token|secret|password)\s*[=:].*",
    re.DOTALL | re.IGNORECASE,
)

Items = TypeVar("Items", bound=Sequence[Hashable])


class Section(BaseModel):
    """A mapping of the file. A key with nothing after it means the defaults, as it does to Prometheus."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, raw: object) -> object:
        return {} if raw is None else raw

    @field_validator("*")
    @classmethod
    def _one_of_two(cls, value: object, info: ValidationInfo) -> object:
        """Refuse a `*_file` key beside the key that gives the same inline."""
        name = str(info.field_name)
        inline = name.removesuffix("_file")
        if value is not None and inline != name and info.data.get(inline) is not None:
            raise ValueError(f"excludes {inline}: give one of the two")
        return value


def key(default: Any, description: str, example: str = "") -> Any:
    """Declare a key of a section with what docs/configuration.md says of it; `...` for a key that is required.

    `example` is a value as the file would have it, of a nested section the section's.
    """
    return Field(default, description=description, examples=[example])


def string(raw: object) -> str:
    """Return a string as it is written; YAML's numbers, dates and booleans are texts here."""
    if isinstance(raw, str):
        return str(raw)
    raise ValueError("must be a string")


def text(raw: object) -> str:
    """Return a string that is not empty."""
    value = string(raw)
    if not value:
        raise ValueError("must not be empty")
    return value


def one_line(raw: str) -> str:
    """Return a credential without the white space around it: it travels in a header, so one line of ASCII."""
    value = raw.strip()
    if not value:
        raise ValueError("is empty")
    no_template(value)
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be one line of plain ASCII text")
    return value


def no_template(value: str) -> str:
    """Refuse what stands for a secret and is none: quotes around it, a variable, `<a placeholder>`."""
    if len(value) > 1 and value[0] + value[-1] in QUOTES:
        raise ValueError("is in quotes: write the value alone, quotes are not taken off here")
    no_variable(value)
    if PLACEHOLDER.fullmatch(value):
        raise ValueError("is a placeholder in <...>: write the value itself")
    if ASSIGNMENT.fullmatch(value):
        raise ValueError("is NAME=value: write the value alone")
    return value


def no_variable(value: str, what: str = "the value") -> str:
    """Refuse `${VAR}`, `$(command)`, `{{ template }}`, and `$VAR` or `%VAR%` alone."""
    if VARIABLE.search(value):
        written = "${...}" if "$" in value else "{{...}}" if "{{" in value else "%...%"
        raise ValueError(f"holds {written}: variables are not replaced here, write {what} itself")
    return value


def _url_text(raw: object) -> str:
    """Return a URL's text, which is no template."""
    value = no_variable(text(raw))
    if PLACEHOLDER.search(value):
        raise ValueError("holds a placeholder in <...>: write the value itself")
    return value


def matching(pattern: str, sentence: str) -> Callable[[object], str]:
    """Make a check for strings that match `pattern` as a whole; `sentence` says what they must be."""
    compiled = re.compile(pattern, re.ASCII)

    def read(raw: object) -> str:
        value = string(raw)
        if not compiled.fullmatch(value):
            raise ValueError(sentence)
        return value

    return read


label_name = matching("[a-zA-Z_][a-zA-Z0-9_]*", "must be a label name: letters, digits and _, no digit first")
"""Check a label name of Prometheus's data model."""


def own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels without `__*`."""
    return {name: value for name, value in labels.items() if not name.startswith(RESERVED_PREFIX)}


def unique(values: Items) -> Items:
    """Check that a list names nothing twice."""
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"names {value} twice")
        seen.add(value)
    return values


def not_empty(sentence: str) -> Callable[[Items], Items]:
    """Make a check that a list has an element; `sentence` says what is missing."""

    def check(values: Items) -> Items:
        if not values:
            raise ValueError(sentence)
        return values

    return check


def nothing_means_none(raw: object) -> object:
    """Take a list's key with nothing after it for an empty list, as Prometheus does."""
    return () if raw is None else raw


# Addresses


def endpoint_url(raw: object) -> str:
    """Return the API's `scheme://host[:port]` without a final slash.

    Plain http is for a simulator on this machine: a signature in the clear can be replayed for 15 minutes.
    """
    url = _http_url(raw)
    if url.username is not None or url.password is not None:
        raise ValueError("must hold no user name or password")
    if url.path not in {"", "/"} or url.query or url.fragment or "?" in text(raw) or "#" in text(raw):
        raise ValueError("must be https://host or https://host:port, with nothing after it")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise ValueError("must be https; plain http is only for a loopback host (localhost, 127.0.0.1, ::1)")
    return f"{url.scheme}://{url.netloc}"


def proxy_url(raw: object) -> SecretStr:
    """Return a proxy's URL as it is, user name and password included."""
    url = _split_url(raw, PROXY_SCHEMES, "must start with http://, https://, socks5:// or socks5h://")
    if url.path not in {"", "/"} or url.query or url.fragment:
        raise ValueError("must be http://host:port, https://host:port or socks5://host:port, with nothing after it")
    return SecretStr(text(raw))


def environment_proxy(value: str) -> str:
    """Return a proxy of the environment with its scheme, which curl lets people leave out."""
    return proxy_url(value if "://" in value else f"http://{value}").get_secret_value()


@dataclass(frozen=True, slots=True, repr=False)
class SDUrl:
    """The URL of a list of targets. Its query may hold a secret: `whole` is for sending, `str()` is for people."""

    whole: str

    def __str__(self) -> str:
        """The URL as far as it may be shown."""
        address, has_query, _ = self.whole.partition("?")
        return f"{address}?<secret>" if has_query else address

    def __repr__(self) -> str:
        """Return the URL without its query: a configuration may end up in a log."""
        return f"SDUrl({str(self)!r})"


def sd_url(raw: object) -> SDUrl:
    """Read the whole URL of a list of targets, path and query included."""
    url = _http_url(raw)
    if url.username is not None or url.password is not None:
        raise ValueError("must hold no user name or password: they are secrets, give them in basic_auth")
    if "#" in text(raw):
        raise ValueError("must have nothing after a #: it is never sent")
    return SDUrl(text(raw))


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


ALL_IPV4 = "0.0.0.0"  # noqa: S104 - what the address `:PORT` means where there is no IPv6


def parse_listen_address(value: str) -> tuple[str, int]:
    """Split `HOST:PORT`, `:PORT` (every interface) or `[IPV6]:PORT` into host and port."""
    found = LISTEN_ADDRESS.fullmatch(value)
    if found is None or int(found["port"]) > MAX_PORT:
        bare_ipv6 = value.count(":") > 1 and "[" not in value
        hint = "put an IPv6 address in brackets, [::1]:10960" if bare_ipv6 else "write HOST:PORT or :PORT"
        raise ValueError(f"{value[:200]!r} is no address to listen on: {hint}")
    return found["ipv6"] or found["host"] or "", int(found["port"])


ENCODE: Final = "in a user name or password write %40 for @, %2F for /, %3A for :, %3F for ?, %23 for #"
PROXY_SCHEMES: Final = frozenset({"http", "https", "socks5", "socks5h"})
HTTP_SCHEMES: Final = frozenset({"http", "https"})


def _http_url(raw: object) -> SplitResult:
    """Split an http or https URL with a usable host and port."""
    return _split_url(raw, HTTP_SCHEMES, "must start with https:// or http://")


def _split_url(raw: object, schemes: frozenset[str], wrong_scheme: str) -> SplitResult:
    """Split a URL of one of the schemes with a usable host and port."""
    value = _url_text(raw)
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise ValueError("must be a URL without spaces or special characters")
    try:
        url = urlsplit(value)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError(_bad_host(value)) from None
    if url.scheme not in schemes:
        raise ValueError(wrong_scheme)
    if port == 0 or url.netloc.endswith(":") or not (HOST.fullmatch(host) or _is_ip(host)):
        raise ValueError(_bad_host(value))
    return url


def _bad_host(url: str) -> str:
    return f"must be a URL with a valid host and port{f'; {ENCODE}' if '@' in url else ''}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# The state's URL

MEMORY_URL: Final = "sqlite://"
SQLITE_PREFIX: Final = "sqlite:///"
POSTGRESQL_PREFIX: Final = "postgresql+psycopg://"
STATE_FORMS: Final = (
    "must be sqlite:///FILE, sqlite:////ABSOLUTE/FILE, sqlite:// to keep it in memory only, "
    "or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
)
SERVER: Final = re.compile(
    r"(?:(?P<username>[^:@/?#]+)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[\w.,-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"/(?P<database>[^@/?#]+)(?:\?(?P<query>[^?#]*))?",
    re.ASCII,
)
"""What follows the prefix. Nothing that another parser could cut elsewhere: an @ or / in a password is refused."""
HALF_ENCODED: Final = re.compile(r"%(?![0-9a-fA-F]{2})|%00")
SECRET_PARAMETER: Final = re.compile("pass|secret|token", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class StateUrl:
    """A state's URL, taken apart here alone. `whole` may hold a password, `str()` is for people."""

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

    @property
    def parts(self) -> dict[str, Any]:
        """A server's URL as the arguments of SQLAlchemy's `URL.create`, decoded."""
        found = self._found
        query: dict[str, tuple[str, ...]] = {}
        for name, value in parse_qsl(found["query"] or "", keep_blank_values=True):
            query[name] = (*query.get(name, ()), value)
        return {
            "drivername": POSTGRESQL_PREFIX.removesuffix("://"),
            "username": _decoded(found["username"]),
            "password": _decoded(found["password"]),
            "host": found["ipv6"] or found["host"],
            "port": int(found["port"]) if found["port"] else None,
            "database": _decoded(found["database"]),
            "query": query,
        }

    @property
    def _found(self) -> re.Match[str]:
        found = SERVER.fullmatch(self.whole.removeprefix(POSTGRESQL_PREFIX))
        if found is None:
            raise ValueError(STATE_FORMS)
        return found

    def hide_in(self, sentence: str) -> str:
        """Cut the URL and its passwords out of a sentence of another program."""
        if not self.is_shared:
            return sentence
        found = self._found
        pairs = [pair.partition("=")[::2] for pair in (found["query"] or "").split("&")]
        written = [found["password"], *(value for name, value in pairs if SECRET_PARAMETER.search(name))]
        decoded = [form(value) for value in filter(None, written) for form in (unquote, unquote_plus)]
        return hide(hide(sentence, [self.whole], str(self)), [*written, *decoded])

    def __str__(self) -> str:
        """The URL as far as it may be shown: without a password, and without what stands after a question mark."""
        if not self.is_shared:
            return self.whole
        address = self.whole.partition("?")[0].removeprefix(POSTGRESQL_PREFIX)
        user, at, place = address.rpartition("@")
        name, colon, _ = user.partition(":")
        return f"{POSTGRESQL_PREFIX}{name}{':<secret>' if colon else ''}{at}{place}"

    def __repr__(self) -> str:
        """Return the URL without its password: a configuration may end up in a log."""
        return f"StateUrl({str(self)!r})"


def state_url(raw: object) -> StateUrl:
    """Check a state's URL."""
    if isinstance(raw, StateUrl):
        return raw
    url = _url_text(raw)
    if not url.isprintable():
        raise ValueError(STATE_FORMS)
    if url.startswith(POSTGRESQL_PREFIX):
        _check_server(url.removeprefix(POSTGRESQL_PREFIX))
        return StateUrl(url)
    path = url.removeprefix(SQLITE_PREFIX)
    if url == MEMORY_URL or (path not in {url, "", ":memory:"} and not set(path) & set("?#")):
        return StateUrl(url)
    raise ValueError(STATE_FORMS)


def _check_server(rest: str) -> None:
    found = SERVER.fullmatch(rest)
    if found is None and "@" in rest:
        raise ValueError(f"{STATE_FORMS}; {ENCODE}")
    if found is None or not 0 < int(found["port"] or 1) <= MAX_PORT:
        raise ValueError(STATE_FORMS)
    try:
        unquote(rest, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("has % codes that are no UTF-8 text") from None
    if HALF_ENCODED.search(rest):
        raise ValueError("has a % that begins no code such as %40: write %25 for the character itself")


def _decoded(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def hide(sentence: str, secrets: Sequence[str | None], instead: str = "<secret>") -> str:
    """Replace every secret that stands in the sentence; longer ones first, as one may hold another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        sentence = sentence.replace(secret, instead)
    return sentence


# Types of values


def _duration(raw: object) -> float:
    """Return seconds. A number without a unit is refused: guessing its unit would be a trap."""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return parse_duration(str(raw))
    return parse_duration(raw if isinstance(raw, str) else "")


def _positive_duration(raw: object) -> float:
    seconds = _duration(raw)
    if seconds == 0:
        raise ValueError("must not be zero")
    return seconds


def _path(raw: object, info: ValidationInfo) -> Path:
    name = no_variable(text(raw), "the path")
    if "\0" in name:
        raise ValueError("must be a file name")
    folder: Path = (info.context or {}).get(FOLDER, Path())
    return folder / name


def _listen_address(raw: object) -> str:
    address = text(raw)
    parse_listen_address(address)
    return address


def _bool(raw: object) -> object:
    """Read a boolean as the YAML of Go has it, which takes `y` and `n` too."""
    return YES_NO[raw] if isinstance(raw, str) and raw in YES_NO else typed(raw)


Bool = Annotated[bool, BeforeValidator(_bool)]
Int = Annotated[int, BeforeValidator(typed)]
Float = Annotated[float, BeforeValidator(typed)]
Text = Annotated[str, BeforeValidator(text)]

Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds, zero allowed."""

PositiveDuration = Annotated[float, BeforeValidator(_positive_duration)]
"""Seconds, more than zero."""

Secret = Annotated[SecretStr, BeforeValidator(lambda raw: SecretStr(one_line(text(raw))))]
"""One line that no repr shows."""

ProxyUrl = Annotated[SecretStr, BeforeValidator(proxy_url)]
"""A proxy's URL, which may hold a password."""

FilePath = Annotated[Path, BeforeValidator(_path)]
"""A file; a relative one is taken from the folder of the file that names it."""

ListenAddress = Annotated[str, BeforeValidator(_listen_address)]

LIST = Field(strict=False)
"""Marks a tuple that is a list in the file."""
