"""`tls_server_config` of the web config file as contexts of Python's ssl."""

import os
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from exporter.config.documents import FileFault, read_text
from exporter.config.web_config import CLIENT_AUTH, CURVES, SUITES, VERSIONS, TlsServer
from exporter.errors import ConfigError, Problem

MAX_PEM_BYTES: Final = 1024 * 1024
ALPN: Final = ("http/1.1",)

CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
KEY: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )?PRIVATE KEY-----")
ENCRYPTED: Final = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)

OPENSSL_SENTENCES: Final[Mapping[str, str]] = {
    "KEY_VALUES_MISMATCH": "is not the key of the certificate",
    "EE_KEY_TOO_SMALL": "belongs to a certificate whose key is too small to be safe",
    "CA_MD_TOO_WEAK": "belongs to a certificate whose signature is too weak to be safe",
}
"""What OpenSSL says of a pair, as said of the key."""
NOT_AVAILABLE: Final = "is not available in this machine's OpenSSL"


class Tls(NamedTuple):
    """A server's TLS context, and the names of which a client's certificate must have one (None: any)."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str] | None = None

    def accepts(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client with this certificate (as `getpeercert` gives it) is accepted."""
        return self.allowed_sans is None or not self.allowed_sans.isdisjoint(alternative_names(certificate or {}))


def alternative_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """A certificate's subject alternative names: DNS, e-mail and URI as they are, addresses as Go writes them."""
    for kind, name in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            yield name
        elif kind == "IP Address":
            yield _short_address(name)


def make_tls(section: TlsServer) -> tuple[Tls, Tls]:
    """Build TLS for the main listener, and for one without client certificates; ConfigError with all problems."""
    texts, problems = _read_pems(section)
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in contexts:
        found = [*_set_versions(context, section), *(() if problems else _load_pair(context, section, texts))]
    found += () if problems else _load_authorities(contexts[0], section, texts.get("client_ca"))
    if problems := [*problems, *found]:
        raise ConfigError([Problem(f"tls_server_config.{each.path}", each.sentence) for each in problems])
    sans = None if section.client_allowed_sans is None else frozenset(section.client_allowed_sans)
    return Tls(contexts[0], sans), Tls(contexts[1])


def certificate_problem(pem: str) -> str:
    """What is wrong with a certificate's text, as the rest of a sentence; empty when nothing is."""
    return "" if CERTIFICATE in pem else "holds no certificate in PEM form"


def key_problem(pem: str) -> str:
    """What is wrong with a private key's text, as the rest of a sentence; empty when nothing is."""
    if ENCRYPTED.search(pem):
        return "holds an encrypted key; write it without a password"
    return "" if KEY.search(pem) else "holds no private key in PEM form"


CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "cert": certificate_problem,
    "key": key_problem,
    "client_ca": certificate_problem,
}


def _read_pems(section: TlsServer) -> tuple[dict[str, str], list[Problem]]:
    """The PEM texts by configuration key, and the problems with them."""
    texts: dict[str, str] = {}
    problems = []
    for key, check in CHECKS.items():
        inline, file = getattr(section, key), getattr(section, f"{key}_file")
        try:
            pem = read_text(file, MAX_PEM_BYTES) if file else inline.get_secret_value() if inline else None
        except FileFault as error:
            problems.append(_problem(section, key, str(error)))
            continue
        if pem is not None:
            texts[key] = pem
            problems += [_problem(section, key, wrong)] if (wrong := check(pem)) else ()
    return texts, problems


def _problem(section: TlsServer, key: str, sentence: str) -> Problem:
    """At the key that gives the text, inline or as a file."""
    file = getattr(section, f"{key}_file")
    return Problem(f"{key}_file", f"the file {sentence}") if file else Problem(key, sentence)


def _set_versions(context: ssl.SSLContext, section: TlsServer) -> Iterator[Problem]:
    """Set versions, cipher suites and curves."""
    suites = [SUITES[suite] for suite in section.cipher_suites if suite in SUITES]
    only_tls13 = bool(section.cipher_suites) and not suites
    context.minimum_version = VERSIONS["TLS13" if only_tls13 else section.min_version]
    context.maximum_version = VERSIONS[section.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not section.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(list(ALPN))
    try:
        if suites:
            context.set_ciphers(":".join(suites))
    except ssl.SSLError:
        yield Problem("cipher_suites", NOT_AVAILABLE)
    try:
        for curve in section.curve_preferences:
            context.set_ecdh_curve(CURVES[curve])
    except ValueError:
        yield Problem("curve_preferences", NOT_AVAILABLE)


def _load_pair(context: ssl.SSLContext, section: TlsServer, texts: Mapping[str, str]) -> Iterator[Problem]:
    """Load the server's certificate and its key."""
    try:
        with _as_file(texts["cert"]) as certificate, _as_file(texts["key"]) as key:
            context.load_cert_chain(certificate, key, password=lambda: b"")  # else OpenSSL may ask at the terminal
    except OSError as error:
        why = f"cannot be used with the certificate ({_why(error)})"
        yield _problem(section, "key", OPENSSL_SENTENCES.get(_reason(error), why))


def _load_authorities(context: ssl.SSLContext, section: TlsServer, authorities: str | None) -> Iterator[Problem]:
    """Load the authorities of clients' certificates."""
    context.verify_mode = CLIENT_AUTH[section.client_auth_type]
    if context.verify_mode is ssl.CERT_NONE:
        return
    if authorities is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)  # as Go does: all that this machine trusts
        return
    try:
        with _as_file(authorities) as file:  # as `cadata` it could have only ASCII around its certificates
            context.load_verify_locations(file)
    except OSError as error:
        yield _problem(section, "client_ca", f"cannot be used ({_why(error)})")


@contextmanager
def _as_file(pem: str) -> Iterator[str]:
    """The name of a file with this text, which OpenSSL needs; in memory where the system allows it."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("pem"), "w+", encoding="utf-8") as file:  # noqa: PTH123 - opens a file descriptor
            file.write(pem)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with closing(tempfile.NamedTemporaryFile("w", encoding="utf-8")) as file:
        file.write(pem)
        file.flush()
        yield file.name


def _why(error: OSError) -> str:
    said = _reason(error) if isinstance(error, ssl.SSLError) else error.strerror
    return (said or "no good PEM").replace("_", " ").lower()


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or "")


def _short_address(text: str) -> str:
    """OpenSSL writes an IPv6 address in full."""
    address = ip_address(text.strip())
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
