"""The web config file (contract, section 3; Prometheus's exporter-toolkit)."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.web_config import SUITES, SUITES_OF_TLS13, WebConfig, load_web_config, parse_web_config
from exporter.errors import ConfigError
from tests.support.certificates import HASH

FOLDER = Path("/etc/webcast")
CANARY = "canary-in-the-web-config"
PAIR = "cert_file: tls/server.crt, key_file: /run/server.key"


def read(text: str) -> WebConfig:
    return parse_web_config(text, FOLDER)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def problem_of_tls(section: str) -> list[str]:
    """What is wrong with a section of TLS that has a certificate and a key."""
    return problems(f"tls_server_config: {{{PAIR}, {section}}}")


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "tls_server_config:\nbasic_auth_users:\n", "rate_limit: {}"])
def test_a_file_may_ask_for_nothing(text: str) -> None:
    """Then no client is asked for a password or a certificate, as in the toolkit."""
    assert read(text) == WebConfig()
    assert (read(text).files, read(text).holds_secrets) == ({}, False)


def test_every_key_of_the_toolkit() -> None:
    """The toolkit's defaults may be written out, and relative paths start from the file's folder."""
    config = read(f"""
tls_server_config:
  {PAIR.replace(", ", chr(10) + "  ")}
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [{", ".join((*SUITES, *SUITES_OF_TLS13))}]
  prefer_server_cipher_suites: true
  curve_preferences: [X25519]
http_server_config:
  http2: false
  headers:
    Content-Security-Policy: ""
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 1; mode=block
    Strict-Transport-Security: max-age=31536000
basic_auth_users: {{alice: "{HASH}", "": "{HASH.replace("$2b$", "$2y$")}", bob: "{HASH.replace("$2b$", "$2a$")}"}}
rate_limit: {{interval: 1s, burst: 20}}
""")
    assert config.files == {
        "tls_server_config.cert_file": FOLDER / "tls/server.crt",
        "tls_server_config.key_file": Path("/run/server.key"),
        "tls_server_config.client_ca_file": FOLDER / "ca.pem",
    }
    assert list(config.basic_auth_users) == ["alice", "", "bob"]
    assert (config.rate_limit.interval, config.rate_limit.burst) == (1.0, 20)
    assert config.holds_secrets


def test_the_defaults_of_tls_are_the_toolkits() -> None:
    """TLS 1.2 and 1.3, the server's order of suites, no client certificate."""
    tls = read(f"tls_server_config: {{{PAIR}, cipher_suites: , curve_preferences: }}").tls_server_config
    assert tls is not None
    assert (tls.min_version, tls.max_version, tls.prefer_server_cipher_suites) == ("TLS12", "TLS13", True)
    assert (tls.client_auth_type, tls.client_allowed_sans) == ("NoClientCert", None)
    assert (tls.cipher_suites, tls.curve_preferences) == ((), ())


NO_HASH = "must be a bcrypt hash, as `htpasswd -nBC 10 NAME` prints it after the colon"
COLON = "must have no colon in it: a client cannot send such a name; after a name come a colon and a space"
NO_HTTP2 = "cannot be true: HTTP/1.1 is all that is spoken here; take the key out"
HEADER_VALUES = "X-Frame-Options must be deny or sameorigin; X-Content-Type-Options must be nosniff"
NO_SUCH_HEADER = (
    "cannot be set; Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, "
    "Strict-Transport-Security can"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", ["the file must be a mapping of keys and values"]),
        ("tls: {}", ["tls: is not a known key"]),
        ("tls_server_config: []", ["tls_server_config: must be a mapping of keys and values"]),
        ("basic_auth_users: {a: secret}", [f"basic_auth_users.a: {NO_HASH}"]),
        (f"basic_auth_users: {{'a:b': {HASH}}}", [f"basic_auth_users.'a:...': {COLON}"]),
        (
            "basic_auth_users: {a:secret, b=secret, c secret}",
            [
                f"basic_auth_users.'a:...': {COLON}",
                "basic_auth_users.'a:...': must be a string",
                "basic_auth_users.'b=...': must be a string",
                "basic_auth_users.'c ...': must be a string",
            ],
        ),
        ("rate_limit: {interval: 1s}", ["rate_limit: needs a burst of at least 1: without one nothing is answered"]),
        (
            "rate_limit: {interval: 1, burst: -1}",
            ["rate_limit.interval: needs a unit: write 1s", "rate_limit.burst: must be at least 0"],
        ),
        ("http_server_config: {http2: true}", [f"http_server_config.http2: {NO_HTTP2}"]),
        (
            "http_server_config: {headers: {X-Frame-Options: maybe, X-Content-Type-Options: off}}",
            [f"http_server_config.headers: {HEADER_VALUES}"],
        ),
        (
            'http_server_config: {headers: {Content-Security-Policy: "a\\r\\nb"}}',
            ["http_server_config.headers.Content-Security-Policy: must be one line of plain ASCII text"],
        ),
        ("http_server_config: {headers: {Server: me}}", [f"http_server_config.headers.Server: {NO_SUCH_HEADER}"]),
    ],
)
def test_problems(text: str, expected: list[str]) -> None:
    """Each with its place and a sentence, and no value that may be a secret."""
    assert problems(text) == expected


def test_many_problems_are_counted() -> None:
    *told, more = problems("\n".join(["basic_auth_users:", *(f"  user{number}: secret" for number in range(150))]))
    assert (len(told), more) == (100, "there are 50 more problems")


VERIFIES = "Python verifies each client certificate that it asks for"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            "min_version: TLS10",
            "min_version: is not offered: OpenSSL takes TLS before 1.2 for unsafe; write TLS12 or TLS13",
        ),
        ("max_version: SSL3", "max_version: must be one of TLS12, TLS13"),
        ("min_version: TLS13, max_version: TLS12", "min_version: is newer than max_version"),
        (
            "client_auth_type: RequestClientCert",
            f"client_auth_type: cannot be RequestClientCert: {VERIFIES}; write NoClientCert",
        ),
        (
            "client_auth_type: RequireAnyClientCert",
            f"client_auth_type: cannot be RequireAnyClientCert: {VERIFIES}; write RequireAndVerifyClientCert",
        ),
        (
            "client_auth_type: RequireClientCert",
            f"client_auth_type: cannot be RequireClientCert: {VERIFIES}; write RequireAndVerifyClientCert",
        ),
        (
            "client_auth_type: Never",
            "client_auth_type: must be one of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert",
        ),
        ("client_ca_file: ca.pem", "client_ca: has no effect without client_auth_type"),
        (
            "client_allowed_sans: [a], client_auth_type: VerifyClientCertIfGiven",
            "client_allowed_sans: needs client_auth_type: RequireAndVerifyClientCert",
        ),
        (
            "curve_preferences: [X25519, CurveP256]",
            "curve_preferences: must name one curve: Python cannot put several in an order",
        ),
        ("curve_preferences: [P256]", "curve_preferences[0]: must be one of CurveP256, CurveP384, CurveP521, X25519"),
        (
            "cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12",
            "cipher_suites: names none for TLS 1.2, and max_version allows no other",
        ),
        ("prefer_server_cipher_suites: 1", "prefer_server_cipher_suites: must be true or false"),
        ("cert: x", "cert_file: excludes cert: give one of the two"),
        ("certfile: x", "certfile: is not a known key; did you mean cert_file?"),
    ],
)
def test_what_cannot_be_honoured_is_a_problem(section: str, expected: str) -> None:
    """Never silence: what Python cannot do, and what has no meaning."""
    assert problem_of_tls(section) == [f"tls_server_config.{expected}"]


def test_a_suite_that_go_deems_unsafe_is_not_known() -> None:
    (told,) = problem_of_tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]")
    assert told.startswith("tls_server_config.cipher_suites[0]: must be one of TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, ")


def test_tls_without_a_certificate_is_a_problem() -> None:
    """Where the toolkit would speak plain HTTP, silently, when other keys of TLS are there."""
    assert problems("tls_server_config: {min_version: TLS13}") == [
        "tls_server_config.cert_file: is required, or cert with the PEM text itself",
        "tls_server_config.key_file: is required, or key with the PEM text itself",
    ]


def test_all_problems_are_told_at_once() -> None:
    told = problems("tls_server_config: {cert: '', min_version: 1.2}\nrate_limit: 3\nhttp_server_config: {http2: x}")
    assert [line.split(":")[0] for line in told] == [
        "tls_server_config.min_version",
        "http_server_config.http2",
        "rate_limit",
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the file does not exist"):
        load_web_config(tmp_path / "web.yml")


def test_no_secret_is_told() -> None:
    """Neither a repr nor a problem shows a key, a hash or what was written in their place."""
    pem = f"-----BEGIN PRIVATE KEY-----\\n{CANARY}"
    assert CANARY not in repr(read(f'tls_server_config: {{cert: "x", key: "{pem}"}}'))
    assert HASH not in repr(read(f"basic_auth_users: {{a: {HASH}}}"))
    assert problems(f"basic_auth_users: {{{HASH}: alice}}")[0].startswith("basic_auth_users.'<secret>': ")
    assert CANARY not in "".join(problems(f"basic_auth_users: {{a: {CANARY}}}\ntls_server_config: {{key: [{CANARY}]}}"))


def outcome(text: str) -> tuple[WebConfig | None, list[str]]:
    try:
        return read(text), []
    except ConfigError as error:
        return None, [str(problem) for problem in error.problems]


words = st.sampled_from(
    ("TLS12", "TLS13", "NoClientCert", "RequireAndVerifyClientCert", "X25519", *SUITES_OF_TLS13, HASH, "deny", "1s", "")
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
tls_keys = st.sampled_from(
    (
        *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type", "min_version"),
        *("client_allowed_sans", "max_version", "cipher_suites", "prefer_server_cipher_suites", "curve_preferences"),
    )
)
documents = st.dictionaries(
    st.sampled_from(("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"))
    | st.text(max_size=4),
    st.dictionaries(tls_keys, values, max_size=6)
    | st.dictionaries(st.sampled_from(("http2", "headers", "interval", "burst", "alice")), values, max_size=3)
    | values,
    max_size=4,
)


@given(documents)
def test_any_document_is_read_or_refused(document: object) -> None:
    """Whatever YAML says, it is a configuration or a list of problems, each of one line; never another error."""
    try:
        text = json.dumps(document, allow_nan=False)  # which is YAML too
    except ValueError:
        return
    config, told = outcome(text)
    assert (config is None) == bool(told)
    assert [line for line in told if "\n" in line] == []
    assert config is None or config.tls_server_config is None or config.files or config.tls_server_config.cert


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    config, told = outcome(text)
    assert (config is None) == bool(told)
