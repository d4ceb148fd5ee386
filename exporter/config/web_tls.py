"""`tls_server_config` of the web config file: the keys of Prometheus's exporter-toolkit, with its defaults."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, SecretStr, ValidationInfo, field_validator

from exporter.config.fields import LIST, FilePath, Section, nothing_means_none, one_of_two
from exporter.config.texts import string, text
from exporter.errors import Problem

VERSIONS: Final[Mapping[str, ssl.TLSVersion]] = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
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
"""They may be named, and are always offered: the list is for TLS 1.2, here as in Go."""

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


def _pem(raw: object) -> SecretStr:
    return SecretStr(text(raw))


def _one_curve(curves: tuple[str, ...]) -> tuple[str, ...]:
    if len(curves) > 1:
        raise ValueError("must name one curve: Python cannot put several in an order")
    return curves


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
Pem = Annotated[SecretStr, BeforeValidator(_pem)]


class TlsServer(Section):
    """`tls_server_config`. Certificate, key and authority are PEM: text in the file itself, or a file of their own."""

    cert: Pem | None = None
    cert_file: FilePath | None = None
    key: Pem | None = None
    key_file: FilePath | None = None
    client_ca: Pem | None = None
    client_ca_file: FilePath | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: Annotated[tuple[Annotated[str, BeforeValidator(text)], ...], LIST] | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: Annotated[tuple[Suite, ...], LIST, BeforeValidator(nothing_means_none)] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: Annotated[tuple[Curve, ...], LIST, BeforeValidator(nothing_means_none)] = ()

    @field_validator("cert_file", "key_file", "client_ca_file")
    @classmethod
    def _one_of_two(cls, file: object, info: ValidationInfo) -> object:
        return one_of_two(file, info)

    @field_validator("curve_preferences")
    @classmethod
    def _no_order(cls, curves: tuple[str, ...]) -> tuple[str, ...]:
        return _one_curve(curves)


def contradictions(tls: TlsServer) -> Iterator[Problem]:
    """What is wrong between the keys; paths start from the section."""
    for key in ("cert", "key"):
        if getattr(tls, key) is None and getattr(tls, f"{key}_file") is None:
            yield Problem(f"{key}_file", f"is required, or {key} with the PEM text itself")
    if VERSIONS[tls.min_version] > VERSIONS[tls.max_version]:
        yield Problem("min_version", "is newer than max_version")
    if tls.max_version == "TLS12" and tls.cipher_suites and not set(tls.cipher_suites) & SUITES.keys():
        yield Problem("cipher_suites", "names none for TLS 1.2, and max_version allows no other")
    if tls.client_auth_type == "NoClientCert" and (tls.client_ca or tls.client_ca_file):
        yield Problem("client_ca", "has no effect without client_auth_type")
    if tls.client_allowed_sans is not None and tls.client_auth_type != "RequireAndVerifyClientCert":
        yield Problem("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
