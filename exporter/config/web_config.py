"""The web config file: TLS, passwords, headers and a rate, in the form of Prometheus's exporter-toolkit."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from exporter.config.document import parse
from exporter.config.durations import Duration
from exporter.config.fields import FOLDER, Section
from exporter.config.files import FileFault, read_text
from exporter.config.problems import NOT_A_MAPPING, translated
from exporter.config.texts import string
from exporter.config.web_tls import TlsServer, contradictions
from exporter.errors import ConfigError, Problem

LARGEST_FILE: Final = 1024 * 1024

BCRYPT: Final = re.compile(r"\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
"""Version, cost from 4 to 31, salt and hash."""

HIDDEN: Final = "<secret>"

HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
"""The headers that can be set, and their values where not any will do."""


def _header_name(raw: object) -> str:
    name = string(raw)
    if name not in HEADERS:
        raise ValueError(f"cannot be set; {', '.join(HEADERS)} can")
    return name


def _header_value(raw: object) -> str:
    value = string(raw)
    if not value.isascii() or not (value.isprintable() or not value):
        raise ValueError("must be one line of plain ASCII text")
    return value


def _user(name: str) -> str:
    if ":" in name:
        raise ValueError("must have no colon in it: a client cannot send such a name")
    return name


def _hash(raw: object) -> SecretStr:
    if not BCRYPT.fullmatch(string(raw)):
        raise ValueError("must be a bcrypt hash, as `htpasswd -nBC 10 NAME` prints it after the colon")
    return SecretStr(string(raw))


def _nothing_means_empty(raw: object) -> object:
    return {} if raw is None else raw


Headers = Annotated[
    Mapping[Annotated[str, BeforeValidator(_header_name)], Annotated[str, BeforeValidator(_header_value)]],
    BeforeValidator(_nothing_means_empty),
]
Users = Annotated[
    Mapping[Annotated[str, AfterValidator(_user)], Annotated[SecretStr, BeforeValidator(_hash)]],
    BeforeValidator(_nothing_means_empty),
]


class HttpServer(Section):
    """`http_server_config`. A header that is blank is not sent."""

    http2: bool = False
    headers: Headers = Field(default_factory=dict)

    @field_validator("http2")
    @classmethod
    def _none(cls, http2: bool) -> bool:  # noqa: FBT001 - pydantic's signature
        if http2:
            raise ValueError("cannot be true: HTTP/1.1 is all that is spoken here; take the key out")
        return http2

    @field_validator("headers")
    @classmethod
    def _known_values(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in headers.items():
            if value and HEADERS[name] and value not in HEADERS[name]:
                raise ValueError(f"{name} must be {' or '.join(HEADERS[name])}")
        return headers


class RateLimit(Section):
    """`rate_limit`: one request every `interval` seconds, and `burst` at once; 0 for no limit."""

    interval: Duration = 0.0
    burst: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _some(self) -> "RateLimit":
        if self.interval and not self.burst:
            raise ValueError("needs a burst of at least 1: without one nothing is answered")
        return self


class WebConfig(Section):
    """One web config file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: Users = Field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()

    @field_validator("tls_server_config", mode="before")
    @classmethod
    def _nothing_is_off(cls, raw: object) -> object:
        return None if raw == {} else raw

    @property
    def files(self) -> Mapping[str, Path]:
        """The files that it names, by their keys."""
        keys = ("cert_file", "key_file", "client_ca_file") if self.tls_server_config else ()
        named = {key: getattr(self.tls_server_config, key) for key in keys}
        return {f"tls_server_config.{key}": file for key, file in named.items() if file}

    @property
    def holds_secrets(self) -> bool:
        """Whether the file itself is to be kept from others: it has a key, or hashes of passwords."""
        return bool(self.basic_auth_users or (self.tls_server_config and self.tls_server_config.key))


def load_web_config(path: Path) -> WebConfig:
    """Read and check one file, the files that it names left aside; ConfigError holds all that is wrong."""
    try:
        return parse_web_config(read_text(path, LARGEST_FILE), path.parent)
    except FileFault as fault:
        raise ConfigError([Problem("", f"the file {fault}")]) from None


def parse_web_config(text: str, folder: Path) -> WebConfig:
    """The same for the text of a file; an empty one asks for nothing."""
    document, repeated = parse(text)
    if not isinstance(document, dict | None):
        raise ConfigError([Problem("", f"the file {NOT_A_MAPPING}")])
    try:
        config = WebConfig.model_validate(document, context={FOLDER: folder})
    except ValidationError as error:
        raise ConfigError([*repeated, *_hidden(translated(error, WebConfig))]) from None
    problems = [*repeated, *_contradictions(config)]
    if problems:
        raise ConfigError(problems)
    return config


def _hidden(problems: list[Problem]) -> Iterator[Problem]:
    """Without the hash that somebody wrote in the place of a name."""
    for problem in problems:
        yield Problem(BCRYPT.sub(HIDDEN, problem.path), problem.sentence)


def _contradictions(config: WebConfig) -> Iterator[Problem]:
    if config.tls_server_config:
        for problem in contradictions(config.tls_server_config):
            yield Problem(f"tls_server_config.{problem.path}", problem.sentence)
