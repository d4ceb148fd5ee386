"""What exporter-toolkit takes and refuses, from its documentation and behaviour; what differs stands in the docs."""

from pathlib import Path

import pytest

from exporter.config.web_config import SUITES, SUITES_OF_TLS13, WebConfig, parse_web_config
from exporter.errors import ConfigError
from tests.docs.reading import ROOT
from tests.support.certificates import HASH

TABLE = (ROOT / "docs" / "web-config.md").read_text().partition("## What differs from the toolkit")[2]
INTERVALS = ("0", "0s", "500us", "1.5s", "1h2m3.5s", ".5s", "20ns")
NO_INTERVALS = ("1d", "1y", "soon", "1 s", "1S", "true", "'1'", "9999999h")
TLS = "tls_server_config: {cert_file: a.pem, key_file: b.pem, %s}"

TAKEN = [
    "",
    "tls_server_config: {}",
    "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
    "http_server_config: {headers: }",
    "http_server_config: {http2: n}",
    "http_server_config: {http2: }",
    "rate_limit: {interval: , burst: ~}",
    TLS % "",
    TLS % "cert: '', key: '', client_ca: '', client_ca_file: '', client_auth_type: ''",
    TLS % "min_version: , max_version: , cipher_suites: , curve_preferences: , client_allowed_sans: ",
    "tls_server_config: {cert: PEM, key: PEM, cert_file: '', key_file: ''}",
    TLS % "client_auth_type: NoClientCert",
    TLS % "client_auth_type: VerifyClientCertIfGiven",
    TLS % "client_auth_type: RequireAndVerifyClientCert, client_ca_file: a.pem, client_allowed_sans: [10.0.0.1, a@b]",
    TLS % "client_auth_type: RequireAndVerifyClientCert, client_ca: PEM, client_allowed_sans: [1]",
    TLS % f"cipher_suites: [{', '.join((*SUITES, *SUITES_OF_TLS13))}]",
    TLS % "curve_preferences: [CurveP521], prefer_server_cipher_suites: y",
    TLS % "min_version: TLS13, max_version: TLS13",
    "http_server_config: {headers: {X-XSS-Protection: 1, Strict-Transport-Security: max-age=1, X-Frame-Options: }}",
    "http_server_config: {headers: {X-XSS-Protection: =, Content-Security-Policy: 2026-01-15}}",
    "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff}}",
    f"basic_auth_users: {{yes: {HASH}, 1: {HASH}, 2026-01-15: {HASH}, ~: {HASH}, '': {HASH}, \"a b\": {HASH}}}",
    f"basic_auth_users: {{a: {HASH.replace('$2b$', '$2y$')}, b: {HASH.replace('$2b$', '$2a$')}}}",
    *(f"rate_limit: {{interval: {each}, burst: 20}}" for each in INTERVALS),
    "rate_limit: {interval: 500\u00b5s, burst: 0x10}",
]
REFUSED = [
    "- a",
    "tls_config: {}",
    "tls_server_config: {cert_fil: a.pem}",
    "tls_server_config: {cert_file: '', key_file: b.pem}",
    "tls_server_config: {cert: '', key: PEM}",
    "tls_server_config: {cert_file: a.pem}",
    "tls_server_config: {cert_file: a.pem, key_file: }",
    "tls_server_config: {client_auth_type: RequireAndVerifyClientCert}",
    TLS % "client_auth_type: RequireNothing",
    TLS % "client_ca_file: ca.pem",
    TLS % "client_allowed_sans: [a]",
    TLS % "client_allowed_sans: [a], client_auth_type: VerifyClientCertIfGiven",
    TLS % "cipher_suites: [TLS_INVENTED]",
    TLS % "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
    TLS % "curve_preferences: [CurveP257]",
    TLS % "min_version: TLS111",
    TLS % "min_version: ''",
    TLS % "cert_file: a.pem",
    "http_server_config: {headers: {X-Frame-Options: DENY}}",
    "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
    "http_server_config: {headers: {x-frame-options: deny}}",
    "http_server_config: {headers: {Server: me}}",
    "basic_auth_users: {a: secret}",
    "basic_auth_users: {a: }",
    f"basic_auth_users: {{a: {HASH.replace('$2b$', '$3b$')}}}",
    f"basic_auth_users: {{a: {HASH.replace('$2b$10', '$2b$03').replace('$2b$04', '$2b$03')}}}",
    f"basic_auth_users: {{a: {HASH}, a: {HASH}}}",
    *(f"rate_limit: {{interval: {each}, burst: 1}}" for each in NO_INTERVALS),
    "rate_limit: {interval: 1s, burst: 99999999999999999999}",
    "rate_limit: {interval: 1s, burst: '5'}",
    "http_server_config: {http3: }",
]
DIFFERENT = {
    TLS % "client_auth_type: RequestClientCert": "`client_auth_type: RequestClientCert`, `RequireAnyClientCert`",
    TLS % "client_auth_type: RequireAnyClientCert": "`client_auth_type: RequestClientCert`, `RequireAnyClientCert`",
    TLS % "min_version: TLS10": "`min_version: TLS10`, `TLS11`",
    TLS % "min_version: TLS13, max_version: TLS12": "`min_version` newer than `max_version`",
    TLS % "curve_preferences: [X25519, CurveP256]": "several `curve_preferences`",
    "http_server_config: {http2: true}": "`http2: true`",
    TLS % "cert: PEM": "`cert` beside `cert_file`",
    "tls_server_config: {min_version: TLS13}": "`tls_server_config` with neither certificate nor key",
    TLS % "cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12": "only suites of TLS 1.3",
    "rate_limit: {interval: 1s}": "`rate_limit.interval` without `burst`",
    "rate_limit: {interval: -1s, burst: 1}": "a negative `interval` or `burst`",
    "rate_limit: {interval: 1s, burst: -1}": "a negative `interval` or `burst`",
    "rate_limit: {interval: 1s, burst: 1.5}": "a `burst` that is no whole number",
    "rate_limit: {interval: 1000000, burst: 1}": "an `interval` without a unit (nanoseconds)",
    f"basic_auth_users: {{'a:b': {HASH}}}": "a user name with a colon",
    f"basic_auth_users: {{a: {HASH.replace('$2b$', '$2x$')}}}": "hashes that begin with `$2$`, `$2x$`",
    'http_server_config: {headers: {Content-Security-Policy: "a\\nb"}}': "header values beyond ASCII",
    "rate_limit: {burst: 1}\n---\n": "a second document in the file",
}


def read(text: str) -> WebConfig:
    return parse_web_config(text, Path("/etc/webcast"))


@pytest.mark.parametrize("text", TAKEN)
def test_what_the_toolkit_takes_is_taken(text: str) -> None:
    read(text)


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_toolkit_refuses_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read(text)


@pytest.mark.parametrize(("text", "row"), DIFFERENT.items())
def test_what_differs_stands_in_the_docs(text: str, row: str) -> None:
    """The toolkit takes it, here it is an error, and the table says so."""
    with pytest.raises(ConfigError):
        read(text)
    assert row in TABLE


def test_values_are_the_text_that_stands_there() -> None:
    """Headers and user names that YAML takes for something else; durations of Go."""
    config = read(
        "http_server_config: {headers: {X-XSS-Protection: 0, Content-Security-Policy: 1.50}}\n"
        f"basic_auth_users: {{yes: {HASH}, 007: {HASH}}}\nrate_limit: {{interval: 500us, burst: 1}}"
    )
    assert config.http_server_config.headers == {"X-XSS-Protection": "0", "Content-Security-Policy": "1.50"}
    assert list(config.basic_auth_users) == ["yes", "007"]
    assert config.rate_limit.interval == pytest.approx(0.0005)
