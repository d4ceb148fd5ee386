"""The web config file: TLS, passwords, headers and a rate, in the form of Prometheus's exporter-toolkit."""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
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

from exporter.config.documents import FileFault, first_problems, parse_yaml, read_text
from exporter.config.fields import FOLDER, LIST, Bool, FilePath, Int, Section, Text, string, text
from exporter.config.loader import NOT_A_MAPPING, REDACTED, format_errors
from exporter.config.times import parse_go_duration
from exporter.errors import ConfigError, Problem

VERSIONS: Final[Mapping[str, ssl.TLSVersion]] = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
OLD_VERSIONS: Final = ("TLS10", "TLS11")

CLIENT_AUTH: Final[Mapping[str, ssl.VerifyMode]] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED: Final[Mapping[str, str]] = {
    "RequestClientCert": "NoClientCert",
    "RequireAnyClientCert": "RequireAndVerifyClientCert",
    "RequireClientCert": "RequireAndVerifyClientCert",
}
"""Python verifies every certificate that it asks for; by what each of these is to be replaced."""

SUITES: Final[Mapping[str, str]] = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Go's names of the suites for TLS 1.2 that it deems secure, and OpenSSL's."""
SUITES_OF_TLS13: Final = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Suites of TLS 1.3. Naming them changes nothing, they are always offered: the list is for TLS 1.2, as in Go."""

MAY_BE_EMPTY: Final = ("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type")
"""Keys of `tls_server_config` whose empty text is as good as none, as in Go."""

CURVES: Final[Mapping[str, str]] = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}


def _one_of(known: Mapping[str, object] | tuple[str, ...], others: Mapping[str, str]) -> Callable[[object], str]:
    """A reader of one of the `known` words; `others` are refused with a sentence of their own."""

    def read(raw: object) -> str:
        word = string(raw)
        if word in others:
            raise ValueError(others[word])
        if word not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return word

    return read


_TOO_OLD = "is not offered: OpenSSL takes TLS before 1.2 for unsafe; write TLS12 or TLS13"

Version = Annotated[str, BeforeValidator(_one_of(VERSIONS, dict.fromkeys(OLD_VERSIONS, _TOO_OLD)))]
ClientAuth = Annotated[
    str,
    BeforeValidator(
        _one_of(
            CLIENT_AUTH,
            {
                word: f"cannot be {word}: Python verifies each client certificate that it asks for; write {instead}"
                for word, instead in UNVERIFIED.items()
            },
        )
    ),
]
Suite = Annotated[str, BeforeValidator(_one_of((*SUITES, *SUITES_OF_TLS13), {}))]
Curve = Annotated[str, BeforeValidator(_one_of(CURVES, {}))]
Pem = Annotated[SecretStr, BeforeValidator(lambda raw: SecretStr(text(raw)))]


class WebSection(Section):
    """A section of the web config file: a key with nothing after it is no key, as in Go."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_no_key(cls, raw: object) -> object:
        if not isinstance(raw, dict):
            return raw
        return {
            key: value
            for key, value in raw.items()
            if key not in cls.model_fields or not (value is None or (value == "" and key in MAY_BE_EMPTY))
        }


class TlsServer(WebSection):
    """`tls_server_config`. Certificate, key and authority are PEM: text in the file itself, or a file of their own."""

    cert: Pem | None = None
    cert_file: FilePath | None = None
    key: Pem | None = None
    key_file: FilePath | None = None
    client_ca: Pem | None = None
    client_ca_file: FilePath | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: Annotated[tuple[Text, ...], LIST] | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: Annotated[tuple[Suite, ...], LIST] = ()
    prefer_server_cipher_suites: Bool = True
    curve_preferences: Annotated[tuple[Curve, ...], LIST] = ()

    @field_validator("curve_preferences")
    @classmethod
    def _one_curve(cls, curves: tuple[str, ...]) -> tuple[str, ...]:
        if len(curves) > 1:
            raise ValueError("must name one curve: Python cannot put several in an order")
        return curves


MAX_FILE: Final = 1024 * 1024

BCRYPT: Final = re.compile(r"\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
"""Version, cost from 4 to 31, salt and hash."""

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
    value = "" if raw is None else string(raw)
    if not value.isascii() or not (value.isprintable() or not value):
        raise ValueError("must be one line of plain ASCII text")
    return value


def _user(name: str) -> str:
    if ":" in name:
        raise ValueError(
            "must have no colon in it: a client cannot send such a name; after a name come a colon and a space"
        )
    return name


def _hash(raw: object) -> SecretStr:
    if not BCRYPT.fullmatch(string(raw)):
        raise ValueError("must be a bcrypt hash, as `htpasswd -nBC 10 NAME` prints it after the colon")
    return SecretStr(string(raw))


GoDuration = Annotated[float, BeforeValidator(lambda raw: parse_go_duration(raw if isinstance(raw, str) else ""))]
"""Seconds."""
Headers = Mapping[Annotated[str, BeforeValidator(_header_name)], Annotated[str, BeforeValidator(_header_value)]]
Users = Mapping[Annotated[str, AfterValidator(_user)], Annotated[SecretStr, BeforeValidator(_hash)]]


class HttpServer(WebSection):
    """`http_server_config`. A header that is blank is not sent."""

    http2: Bool = False
    headers: Headers = Field(default_factory=dict)

    @field_validator("http2")
    @classmethod
    def _none(cls, http2: object) -> object:
        if http2:
            raise ValueError("cannot be true: HTTP/1.1 is all that is spoken here; take the key out")
        return http2

    @field_validator("headers")
    @classmethod
    def _known_values(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        bad = [name for name, value in headers.items() if value and HEADERS[name] and value not in HEADERS[name]]
        if bad:
            raise ValueError("; ".join(f"{name} must be {' or '.join(HEADERS[name])}" for name in bad))
        return headers


class RateLimit(WebSection):
    """`rate_limit`: one request every `interval` seconds, and `burst` at once; 0 for no limit."""

    interval: GoDuration = 0.0
    burst: Annotated[Int, Field(ge=0, le=1_000_000_000)] = 0

    @model_validator(mode="after")
    def _some(self) -> "RateLimit":
        if self.interval and not self.burst:
            raise ValueError("needs a burst of at least 1: without one nothing is answered")
        return self


class WebConfig(WebSection):
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


def secret_files_of_web_config(file: Path, config: WebConfig) -> dict[str, Path]:
    """Return the web config file itself, if it holds secrets, and the key of its certificate."""
    own = {str(file): file} if config.holds_secrets else {}
    return own | {place: key for place, key in config.files.items() if place.endswith(".key_file")}


def load_web_config(path: Path) -> WebConfig:
    """Read and check one file, the files that it names left aside; ConfigError holds all that is wrong."""
    try:
        return parse_web_config(read_text(path, MAX_FILE), path.parent)
    except FileFault as fault:
        raise ConfigError([Problem("", f"the file {fault}")]) from None


def parse_web_config(text: str, folder: Path) -> WebConfig:
    """Parse the text of a web config file; an empty one asks for nothing. ConfigError lists all problems."""
    document, repeated = parse_yaml(text)
    if not isinstance(document, dict | None):
        raise ConfigError([Problem("", f"the file {NOT_A_MAPPING}")])
    try:
        config = WebConfig.model_validate(document, context={FOLDER: folder})
    except ValidationError as error:
        # A hash may stand where a user name should.
        found = [Problem(BCRYPT.sub(REDACTED, each.path), each.sentence) for each in format_errors(error, WebConfig)]
        raise ConfigError(first_problems([*repeated, *found])) from None
    tls = config.tls_server_config
    if problems := [*repeated, *(_contradictions(tls) if tls else ())]:
        raise ConfigError(problems)
    return config


def _contradictions(tls: TlsServer) -> Iterator[Problem]:
    """What is wrong between the keys of `tls_server_config`."""

    def problem(key: str, sentence: str) -> Problem:
        return Problem(f"tls_server_config.{key}", sentence)

    for key in ("cert", "key"):
        if getattr(tls, key) is None and getattr(tls, f"{key}_file") is None:
            yield problem(f"{key}_file", f"is required, or {key} with the PEM text itself")
    if VERSIONS[tls.min_version] > VERSIONS[tls.max_version]:
        yield problem("min_version", "is newer than max_version")
    if tls.max_version == "TLS12" and tls.cipher_suites and not set(tls.cipher_suites) & SUITES.keys():
        yield problem("cipher_suites", "names none for TLS 1.2, and max_version allows no other")
    if tls.client_auth_type == "NoClientCert" and (tls.client_ca or tls.client_ca_file):
        yield problem("client_ca", "has no effect without client_auth_type")
    if tls.client_allowed_sans is not None and tls.client_auth_type != "RequireAndVerifyClientCert":
        yield problem("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
