"""`tls_server_config` as Python's ssl has it: what a server shows, and whom it lets in."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from exporter.config.files import FileFault, read_text
from exporter.config.web_tls import CLIENT_AUTH, CURVES, SUITES, VERSIONS, TlsServer
from exporter.errors import ConfigError, Problem
from exporter.web.pem import as_file, fault_of_certificate, fault_of_key

LARGEST_FILE: Final = 1024 * 1024
ALPN: Final = ("http/1.1",)

SENTENCES: Final[Mapping[str, str]] = {
    "KEY_VALUES_MISMATCH": "is not the key of the certificate",
    "EE_KEY_TOO_SMALL": "belongs to a certificate whose key is too small to be safe",
    "CA_MD_TOO_WEAK": "belongs to a certificate whose signature is too weak to be safe",
}
"""What OpenSSL says of a pair, as said of the key."""
NOT_HERE: Final = "cannot be had from this machine's OpenSSL"
CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "cert": fault_of_certificate,
    "key": fault_of_key,
    "client_ca": fault_of_certificate,
}
"""By the key that holds a PEM text."""


class Tls(NamedTuple):
    """What a listener needs to speak TLS: its context, and the names of which a client's certificate must have one."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str] | None = None

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client with this certificate (as `getpeercert` gives it) may speak."""
        return self.allowed_sans is None or not self.allowed_sans.isdisjoint(names_of(certificate or {}))


def names_of(certificate: Mapping[str, Any]) -> Iterator[str]:
    """A certificate's alternative names: DNS, e-mail and URI as they are, addresses as Go writes them."""
    for kind, name in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            yield name
        elif kind == "IP Address":
            yield _address(name)


def make_tls(section: TlsServer) -> tuple[Tls, Tls]:
    """For the main listener, and for one that asks for no client's certificate; ConfigError with all that is wrong."""
    texts, problems = _texts(section)
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in contexts:
        found = [*_choose(context, section), *(() if problems else _show(context, section, texts))]
    found += () if problems else _trust(contexts[0], section, texts.get("client_ca"))
    if problems := [*problems, *found]:
        raise ConfigError([Problem(f"tls_server_config.{each.path}", each.sentence) for each in problems])
    sans = None if section.client_allowed_sans is None else frozenset(section.client_allowed_sans)
    return Tls(contexts[0], sans), Tls(contexts[1])


def _texts(section: TlsServer) -> tuple[dict[str, str], list[Problem]]:
    """The PEM texts that there are, by key, and what is wrong with them."""
    texts: dict[str, str] = {}
    problems = []
    for key, check in CHECKS.items():
        inline, file = getattr(section, key), getattr(section, f"{key}_file")
        try:
            pem = read_text(file, LARGEST_FILE) if file else inline.get_secret_value() if inline else None
        except FileFault as fault:
            problems.append(_problem(section, key, str(fault)))
            continue
        if pem is not None:
            texts[key] = pem
            problems += [_problem(section, key, wrong)] if (wrong := check(pem)) else ()
    return texts, problems


def _problem(section: TlsServer, key: str, sentence: str) -> Problem:
    """At the key that gives the text, be it the text itself or a file."""
    file = getattr(section, f"{key}_file")
    return Problem(f"{key}_file", f"the file {sentence}") if file else Problem(key, sentence)


def _choose(context: ssl.SSLContext, section: TlsServer) -> Iterator[Problem]:
    """Versions, suites and curves."""
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
        yield Problem("cipher_suites", NOT_HERE)
    try:
        for curve in section.curve_preferences:
            context.set_ecdh_curve(CURVES[curve])
    except ValueError:
        yield Problem("curve_preferences", NOT_HERE)


def _show(context: ssl.SSLContext, section: TlsServer, texts: Mapping[str, str]) -> Iterator[Problem]:
    """The certificate, and its key."""
    try:
        with as_file(texts["cert"]) as certificate, as_file(texts["key"]) as key:
            context.load_cert_chain(certificate, key, password=lambda: b"")  # else OpenSSL may ask at the terminal
    except OSError as error:
        why = f"cannot be used with the certificate ({_why(error)})"
        yield _problem(section, "key", SENTENCES.get(_reason(error), why))


def _trust(context: ssl.SSLContext, section: TlsServer, authority: str | None) -> Iterator[Problem]:
    """Whose client certificates are good."""
    context.verify_mode = CLIENT_AUTH[section.client_auth_type]
    if context.verify_mode is ssl.CERT_NONE:
        return
    if authority is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)  # as Go does: all that this machine trusts
        return
    try:
        with as_file(authority) as file:  # as text it could have nothing but ASCII around its certificates
            context.load_verify_locations(file)
    except OSError as error:
        yield _problem(section, "client_ca", f"cannot be used ({_why(error)})")


def _why(error: OSError) -> str:
    said = _reason(error) if isinstance(error, ssl.SSLError) else error.strerror
    return (said or "no good PEM").replace("_", " ").lower()


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or "")


def _address(text: str) -> str:
    """OpenSSL writes an IPv6 address in full."""
    address = ip_address(text.strip())
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
