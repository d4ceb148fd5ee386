from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.credentials import authorization_header
from exporter.config.loader import parse_config
from exporter.config.schema import HttpSdConfig
from exporter.errors import ConfigError

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
