"""Sections of http_sd_configs and callbacks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from exporter.config.credentials import authorization_header
from exporter.config.fields import SDUrl
from exporter.config.loader import load, parse_config, warnings
from exporter.config.schema import Authorization, BasicAuth, Config, HttpSdConfig, SDTlsConfig
from exporter.errors import ConfigError

Read = Callable[[str], Config]


def test_files(read: Read) -> None:
    """Files start from the configuration's folder, wildcards in their last part stay, and 30s is the default."""
    (section,) = read("file_sd_configs: [{files: ['targets/[a-c]*.yml', /etc/x.JSON, ../y.yaml]}]").file_sd_configs
    assert [Path("/etc/webcast/targets/[a-c]*.yml"), Path("/etc/x.JSON"), Path("/etc/webcast/../y.yaml")] == list(
        section.files
    )
    assert section.refresh_interval == 30.0


def test_a_url_alone(read: Read) -> None:
    """All but the URL has Prometheus's default: no credentials, redirects followed, certificates checked."""
    (section,) = read("http_sd_configs: [{url: 'http://10.0.0.1:8080/t?a=b'}]").http_sd_configs
    assert SDUrl("http://10.0.0.1:8080/t?a=b") == section.url
    assert (section.refresh_interval, section.follow_redirects, section.tls_config) == (30.0, True, SDTlsConfig())
    assert (section.authorization, section.basic_auth, section.proxy_url) == (None, None, None)


def test_everything_given(read: Read) -> None:
    """Each key is read as what it means, and files start from the configuration's folder."""
    bearer, basic = read(
        """
        http_sd_configs:
          - url: https://a
            refresh_interval: 5s
            authorization: {type: Token, credentials_file: keys/token}
            tls_config: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, insecure_skip_verify: true}
            proxy_url: http://u:pw@proxy:3128
            follow_redirects: false
          - url: https://b
            basic_auth: {username: me, password: " spaced "}
        """
    ).http_sd_configs
    folder = Path("/etc/webcast")
    assert Authorization.model_construct(type="Token", credentials_file=folder / "keys/token") == bearer.authorization
    assert {"ca_file": folder / "ca.pem", "cert_file": folder / "c.pem", "key_file": folder / "k.pem"} == (
        bearer.tls_config.files
    )
    assert (bearer.refresh_interval, bearer.follow_redirects) == (5.0, False)
    assert SecretStr("http://u:pw@proxy:3128") == bearer.proxy_url
    assert BasicAuth.model_construct(username="me", password=SecretStr(" spaced ")) == basic.basic_auth


def test_a_url_is_shown_without_its_query() -> None:
    """A query may hold a secret, so no text of the URL has it."""
    for told in (str(SDUrl("https://h/t?key=s3cret")), repr(SDUrl("https://h/t?key=s3cret"))):
        assert "https://h/t?<secret>" in told
        assert "s3cret" not in told
    assert str(SDUrl("https://h/t")) == "https://h/t"


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A configuration that is to be served names files that are there; each that is not is told with its path."""
    file = tmp_path / "c.yml"
    file.write_text(
        """
        accounts: [{access_key_id: a, secret_access_key: b}]
        http_sd_configs:
          - {url: https://a, authorization: {credentials_file: gone},
             tls_config: {ca_file: gone, cert_file: ., key_file: .}}
          - {url: https://a, basic_auth: {username: u, password_file: gone}}
        """
    )
    assert len(load(file).http_sd_configs) == 2
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert [str(problem) for problem in caught.value.problems] == [
        "http_sd_configs[0].authorization.credentials_file: the file does not exist",
        "http_sd_configs[0].tls_config.ca_file: the file does not exist",
        "http_sd_configs[0].tls_config.cert_file: the file is a directory, not a file",
        "http_sd_configs[0].tls_config.key_file: the file is a directory, not a file",
        "http_sd_configs[1].basic_auth.password_file: the file does not exist",
    ]


def test_any_certificate_is_warned_of(read: Read) -> None:
    """Who trusts any certificate is told so, with the place."""
    config = read("http_sd_configs: [{url: https://a}, {url: https://b, tls_config: {insecure_skip_verify: true}}]")
    (warning,) = warnings(config)
    assert warning.startswith("http_sd_configs[1].tls_config.insecure_skip_verify: trusts any certificate")


Client = Callable[[str], HttpSdConfig]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """The first http_sd_config with these keys beside its URL, in a folder of its own."""
    return lambda keys: parse_config(f"http_sd_configs: [{{url: 'https://h', {keys}}}]", tmp_path).http_sd_configs[0]


@pytest.mark.parametrize(
    ("keys", "header"),
    [
        ("", None),
        ("authorization: {credentials: abc}", "Bearer abc"),
        ("authorization: {type: Token, credentials: abc}", "Token abc"),
        ("basic_auth: {username: me, password: s3cret}", "Basic bWU6czNjcmV0"),
        ("basic_auth: {username: me}", "Basic bWU6"),
        ("basic_auth: {username: 会, password: é}", "Basic 5LyaOsOp"),
    ],
)
def test_inline(client: Client, keys: str, header: str | None) -> None:
    """A type and credentials are sent as they are, user and password as RFC 7617 says, in UTF-8."""
    assert header == authorization_header(client(keys))


def test_files_are_read_anew(client: Client, tmp_path: Path) -> None:
    """A secret's file is read at every use, and the line break at its end is no part of it."""
    bearer = client("authorization: {credentials_file: secret}")
    basic = client("basic_auth: {username: me, password_file: secret}")
    for content, header, login in (("abc\n", "Bearer abc", "Basic bWU6YWJj"), ("x", "Bearer x", "Basic bWU6eA==")):
        (tmp_path / "secret").write_text(content)
        assert (header, login) == (authorization_header(bearer), authorization_header(basic))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "the file does not exist"),
        (b"", "the file is empty"),
        (b"s3cret\nX-Evil: 1", "the file must be one line of plain ASCII text"),
        (b"\xffs3cret", "the file is not UTF-8 text (at byte 0)"),
        (b"s3cret" * 20_000, "the file has more than 65,536 bytes"),
    ],
)
def test_a_bad_file(client: Client, tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """What no header can carry is a problem with its path, which does not tell what the file holds."""
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        authorization_header(client("authorization: {credentials_file: token}"))
    assert f"authorization.credentials_file: {sentence}" == str(caught.value)
    assert "s3cret" not in repr(caught.value.__context__)
