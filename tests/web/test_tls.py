"""TLS of the main listener and of the one for callbacks."""

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from exporter.config.web_config import parse_web_config
from exporter.errors import ConfigError
from exporter.web import tls as module
from exporter.web.auth import CurrentPolicy, WebPolicy, make_policy
from exporter.web.server import Listener, bind
from exporter.web.tls import Tls, alternative_names, make_tls
from tests.support.certificates import client_context

if TYPE_CHECKING:
    from exporter.simulator.server import Certificates


Make = Callable[..., tuple[Tls, Tls]]
Ask = Callable[..., bytes]


@pytest.fixture
def folder(tmp_path: Path, certificates: "Certificates") -> Path:
    for name, file in {"good": certificates.trusted, "stranger": certificates.stranger}.items():
        (tmp_path / f"{name}.pem").write_bytes(file.read_bytes())
    return tmp_path


@pytest.fixture
def make(folder: Path) -> Make:
    def made(keys: str = "", pair: str = "cert_file: good.pem, key_file: good.pem") -> tuple[Tls, Tls]:
        section = parse_web_config(f"tls_server_config: {{{pair}, {keys}}}", folder).tls_server_config
        assert section is not None
        return make_tls(section)

    return made


@pytest.fixture(scope="module")
def ask(certificates: "Certificates") -> Iterator[Ask]:
    """Ask a listener with this TLS, by a client that shows a certificate or has an own way to speak."""
    policy = CurrentPolicy()
    listener = Listener(PlainTextResponse("hello"), bind("127.0.0.1:0"), _never, policy)
    listener.start()

    def asked(tls: Tls, shows: Path | None = None, speaks: Callable[[ssl.SSLContext], object] = id) -> bytes:
        policy.now = WebPolicy(tls)
        context = client_context(certificates.authority, shows)
        speaks(context)
        host, port = listener.url.removeprefix("https://").split(":")
        with (
            socket.create_connection((host, int(port)), 20) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            wrapped.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with closing(wrapped.makefile("rb")) as answer:
                return answer.read()

    yield asked
    listener.stop()


def _never(_what: str, _error: Exception) -> None:
    pytest.fail("the server broke down")


def refused(ask: Ask, *how: object) -> bool:
    """Whether nothing is answered: the handshake fails, or the connection is cut."""
    try:
        return ask(*how) == b""
    except OSError:
        return True


def problems(make: Make, keys: str, pair: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        make(keys, pair)
    return [str(problem) for problem in caught.value.problems]


GOOD = "cert_file: good.pem, key_file: good.pem"


def test_it_speaks_tls(make: Make, ask: Ask) -> None:
    for tls in make():
        assert ask(tls).endswith(b"\r\n\r\nhello")


def test_texts_in_the_file_itself(make: Make, ask: Ask, folder: Path) -> None:
    """Certificate, key and authority need no files of their own."""
    pem = (folder / "good.pem").read_text().replace("\n", "\\n")
    pair = f'cert: "{pem}", key: "{pem}", client_ca: "{pem}", client_auth_type: RequireAndVerifyClientCert'
    main, callbacks = make("", pair)
    assert ask(callbacks).endswith(b"hello")
    assert ask(main, folder / "good.pem").endswith(b"hello")
    assert refused(ask, main)


def test_a_key_leaves_no_file(make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in memory alone; on a machine that has no such files it is gone from the disk at once."""
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = sorted(folder.iterdir())
    make()
    monkeypatch.delattr(os, "memfd_create")
    make()
    assert sorted(folder.iterdir()) == before


LOCKED = "holds an encrypted key; write it without a password"


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("cert_file: no.pem, key_file: good.pem", ["cert_file: the file does not exist"]),
        (
            "cert_file: ., key_file: no.pem",
            ["cert_file: the file is a directory, not a file", "key_file: the file does not exist"],
        ),
        (
            "cert_file: empty, key_file: empty",
            [
                "cert_file: the file holds no certificate in PEM form",
                "key_file: the file holds no private key in PEM form",
            ],
        ),
        ("cert_file: good.pem, key_file: stranger.pem", ["key_file: the file is not the key of the certificate"]),
        ("cert: x, key: x", ["cert: holds no certificate in PEM form", "key: holds no private key in PEM form"]),
        ("cert_file: good.pem, key_file: locked.pem", [f"key_file: the file {LOCKED}"]),
        (
            f"{GOOD}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: empty",
            ["client_ca_file: the file holds no certificate in PEM form"],
        ),
        (
            f"{GOOD}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: broken.pem",
            ["client_ca_file: the file cannot be used (no good pem)"],
        ),
        (
            "cert_file: broken.pem, key_file: good.pem",
            ["key_file: the file cannot be used with the certificate (no good pem)"],
        ),
    ],
)
def test_files_that_cannot_be_used(make: Make, folder: Path, pair: str, expected: list[str]) -> None:
    """A sentence for each, at its place, and no question at the terminal."""
    (folder / "empty").touch()
    (folder / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    command = ["openssl", "pkey", "-in", str(folder / "good.pem"), "-aes256", "-passout", "pass:x"]
    (folder / "locked.pem").write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert problems(make, "", pair) == [f"tls_server_config.{each}" for each in expected]


def test_words_around_an_authority(make: Make, ask: Ask, folder: Path) -> None:
    """Whatever language they are in: many a bundle names its authorities in theirs."""
    (folder / "ca.pem").write_text(f"# Főtanúsítvány 证书\n{(folder / 'good.pem').read_text()}")
    tls, _ = make("client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem")
    assert ask(tls, folder / "good.pem").endswith(b"hello")


def test_a_machine_that_shows_no_open_files(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc, it is said."""
    monkeypatch.setattr(module, "_as_file", lambda _: nullcontext("/no-such-folder/fd/3"))
    expected = "tls_server_config.key_file: the file cannot be used with the certificate (no such file or directory)"
    assert problems(make, "", GOOD) == [expected]


@pytest.mark.parametrize(
    ("auth", "let_in"),
    [
        ("NoClientCert", [True, True, True]),
        ("VerifyClientCertIfGiven, client_ca_file: good.pem", [True, True, False]),
        ("RequireAndVerifyClientCert, client_ca_file: good.pem", [False, True, False]),
        ("RequireAndVerifyClientCert", [False, False, False]),
    ],
)
def test_client_certificates(make: Make, ask: Ask, folder: Path, auth: str, let_in: list[bool]) -> None:
    """Who is let in with none, with one that the authority has signed, and with another; callbacks need none."""
    main, callbacks = make(f"client_auth_type: {auth}")
    shown = (None, folder / "good.pem", folder / "stranger.pem")
    assert let_in == [not refused(ask, main, shows) for shows in shown]
    assert ask(callbacks).endswith(b"hello")


@pytest.mark.parametrize(
    ("names", "let_in"), [("localhost", True), ("127.0.0.1", True), ("'::1'", True), ("elsewhere", False), ("", False)]
)
def test_a_certificate_must_have_one_of_the_names(
    make: Make,
    ask: Ask,
    folder: Path,
    names: str,
    let_in: bool,
) -> None:
    """An exact one of its alternative names; otherwise the connection is cut before anything is heard."""
    required = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: good.pem"
    main, _ = make(f"{required}, client_allowed_sans: [{names}]")
    assert refused(ask, main, folder / "good.pem") != let_in


def test_the_names_of_a_certificate() -> None:
    """Of four kinds, addresses as Go writes them."""
    certificate = {
        "subject": ((("commonName", "no-name"),),),
        "subjectAltName": (
            ("DNS", "a.example"),
            ("email", "a@example.com"),
            ("URI", "spiffe://a/b"),
            ("IP Address", "2001:DB8:0:0:0:0:0:1\n"),
            ("IP Address", "0:0:0:0:0:FFFF:102:304"),
            ("DirName", "ignored"),
        ),
    }
    expected = ["a.example", "a@example.com", "spiffe://a/b", "2001:db8::1", "1.2.3.4"]
    assert list(alternative_names(certificate)) == expected
    assert list(alternative_names({})) == []
    assert not Tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), frozenset({"a.example"})).accepts(None)


def at_most_tls12(context: ssl.SSLContext) -> None:
    """A client of yesterday."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def suite(name: str) -> Callable[[ssl.SSLContext], None]:
    """A client with one suite of TLS 1.2."""

    def speak(context: ssl.SSLContext) -> None:
        at_most_tls12(context)
        context.set_ciphers(name)

    return speak


def at_least_tls13(context: ssl.SSLContext) -> None:
    """A client of today."""
    context.minimum_version = ssl.TLSVersion.TLSv1_3


def curve(name: str) -> Callable[[ssl.SSLContext], None]:
    """A client with one curve."""
    return lambda context: context.set_ecdh_curve(name)


AES128 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("keys", "speaks", "let_in"),
    [
        ("", at_most_tls12, True),
        ("min_version: TLS13", at_most_tls12, False),
        ("max_version: TLS12", at_least_tls13, False),
        (f"cipher_suites: [{AES128}]", suite("ECDHE-ECDSA-AES128-GCM-SHA256"), True),
        (f"cipher_suites: [{AES128}]", suite("ECDHE-ECDSA-AES256-GCM-SHA384"), False),
        (f"cipher_suites: [{AES128}]", at_least_tls13, True),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", at_most_tls12, False),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", at_least_tls13, True),
        ("curve_preferences: [CurveP384]", curve("secp384r1"), True),
        ("curve_preferences: [CurveP384]", curve("prime256v1"), False),
        ("curve_preferences: [X25519]", curve("X25519"), True),
    ],
)
def test_versions_suites_and_curves(
    make: Make,
    ask: Ask,
    keys: str,
    speaks: Callable[[ssl.SSLContext], None],
    let_in: bool,
) -> None:
    """What the file allows is spoken, and nothing else; suites are those of TLS 1.2 alone."""
    assert refused(ask, make(keys)[0], None, speaks) != let_in


@pytest.mark.parametrize(("prefers", "chosen"), [("true", "AES128"), ("false", "AES256")])
def test_the_order_of_suites(make: Make, ask: Ask, prefers: str, chosen: str) -> None:
    """The server's, unless the file says otherwise."""
    both = f"cipher_suites: [{AES128}, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"
    client = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    tls, _ = make(f"{both}, prefer_server_cipher_suites: {prefers}")
    taken: list[str] = []

    class Seen(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT002 - as its base
            super().do_handshake(block)
            taken.append((self.cipher() or ("",))[0])

    def speaks(context: ssl.SSLContext) -> None:
        suite(client)(context)
        context.sslsocket_class = Seen

    assert ask(tls, None, speaks)
    assert [name for name in taken if chosen in name] == taken


def test_what_this_machines_openssl_has_not(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite or a curve that a build leaves out is a problem too."""
    monkeypatch.setattr(module, "SUITES", {AES128: "NO-SUCH-SUITE"})
    monkeypatch.setattr(module, "CURVES", {"X25519": "no-such-curve"})
    assert problems(make, f"cipher_suites: [{AES128}], curve_preferences: [X25519]", GOOD) == [
        "tls_server_config.cipher_suites: is not available in this machine's OpenSSL",
        "tls_server_config.curve_preferences: is not available in this machine's OpenSSL",
    ]


pems = st.builds(
    "{}-----BEGIN {}-----\n{}\n-----END {}-----\n{}".format,
    st.text(max_size=9),
    st.sampled_from(("CERTIFICATE", "PRIVATE KEY", "EC PRIVATE KEY", "TRUSTED CERTIFICATE")),
    st.binary(max_size=60).map(lambda data: data.hex()) | st.text(max_size=60),
    st.sampled_from(("CERTIFICATE", "PRIVATE KEY", "")),
    st.text(max_size=9),
)
THE_PAIR = "the good one"
texts = st.just(THE_PAIR) | pems | st.tuples(pems, st.just(THE_PAIR)).map("".join)
auth = st.sampled_from(("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"))


@given(texts, texts, texts | st.none(), auth)
def test_any_certificates_are_used_or_refused(
    certificates: "Certificates", cert: str, key: str, authority: str | None, client_auth: str
) -> None:
    """Whatever is in them: they are used, or each problem is a sentence; never another error."""
    good = certificates.trusted.read_text()
    section = {"cert": cert, "key": key, "client_ca": authority, "client_auth_type": client_auth}
    said = {name: text.replace(THE_PAIR, good) for name, text in section.items() if text is not None}
    lines = "".join(f"  {name}: {_quoted(text)}\n" for name, text in said.items())
    told = problems_of_policy(f"tls_server_config:\n{lines}")
    assert [problem for problem in told if not problem or "\n" in problem] == []
    assert told == [] or {cert, key, authority} != {THE_PAIR} or client_auth == "NoClientCert"


def problems_of_policy(text: str) -> list[str]:
    """What is wrong with a file, all the way until it is in force."""
    try:
        make_policy(parse_web_config(text, Path("/no-such-folder")))
    except ConfigError as error:
        return [problem.sentence for problem in error.problems]
    return []


def _quoted(text: str) -> str:
    """As YAML writes any text between double quotes."""
    return '"' + "".join(f"\\U{ord(letter):08X}" for letter in text) + '"'
