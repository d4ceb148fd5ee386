import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.credentials import resolve
from exporter.config.loader import file_problems, parse_config
from exporter.config.schema import Config
from exporter.errors import ConfigError
from exporter.model.credentials import Credentials

ENVIRON = {"VOLC_ACCESSKEY": "env-ak", "VOLC_SECRETKEY": "env-sk", "VOLC_SESSION_TOKEN": "env-st"}

Read = Callable[[str], Config]


def of(config: Config, environ: dict[str, str]) -> Credentials:
    return resolve(config.accounts[0], environ)


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("{}", ("env-ak", "env-sk", "env-st")),
        ("{access_key_id: AK, secret_access_key: SK}", ("AK", "SK", "")),
        ("{access_key_id: AK, secret_access_key: SK, session_token: ST}", ("AK", "SK", "ST")),
        ("{session_token: ST}", ("env-ak", "env-sk", "ST")),
        ("{access_key_id: ' AK ', secret_access_key: SK}", ("AK", "SK", "")),
    ],
)
def test_configured_or_environment(read: Read, account: str, expected: tuple[str, str, str]) -> None:
    """The environment gives the pair only when neither key is configured, and its token only with its own pair."""
    assert Credentials(*expected) == of(read(f"accounts: [{account}]"), ENVIRON)


def test_files(tmp_path: Path) -> None:
    """A file's value is its text without the white space around it; files and inline values may be mixed."""
    (tmp_path / "ak").write_text("AK\n")
    (tmp_path / "st").write_bytes(b"\xef\xbb\xbf ST \r\n")
    text = "accounts: [{access_key_id_file: ak, secret_access_key: SK, session_token_file: st}]"
    assert Credentials("AK", "SK", "ST") == of(parse_config(text, tmp_path), ENVIRON)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "the file does not exist"),
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"a\nb", "the file must be one line of plain ASCII text"),
        ("clé".encode(), "the file must be one line of plain ASCII text"),
        (b"\xff", "the file is not UTF-8 text (at byte 0)"),
        (b'"AKLT"\n', "the file is in quotes: write the value alone, quotes are not taken off here"),
        (b"'AKLT'", "the file is in quotes: write the value alone, quotes are not taken off here"),
        (b"${VOLC_SK}", "the file holds ${...}: variables are not replaced here, write the value itself"),
        (b"$(cat sk)", "the file holds ${...}: variables are not replaced here, write the value itself"),
        (b"$VOLC_SK", "the file holds ${...}: variables are not replaced here, write the value itself"),
        (b"%VOLC_SK%", "the file holds %...%: variables are not replaced here, write the value itself"),
        (b"{{ .Values.sk }}", "the file holds {{...}}: variables are not replaced here, write the value itself"),
        ("\u201cAKLT\u201d".encode(), "the file is in quotes: write the value alone, quotes are not taken off here"),
        (b"<<secret>>\n", "the file is a placeholder in <...>: write the value itself"),
        (b"secret_access_key: abc", "the file is NAME=value: write the value alone"),
        (b"AWS_SECRET_ACCESS_KEY = abc", "the file is NAME=value: write the value alone"),
        (b"<your secret key>", "the file is a placeholder in <...>: write the value itself"),
        (b"VOLC_SECRETKEY=abc\n", "the file is NAME=value: write the value alone"),
        (b"export VOLC_SECRETKEY='abc'", "the file is NAME=value: write the value alone"),
        (b"x" * (64 * 1024 + 1), "the file has more than 65,536 bytes"),
    ],
)
def test_a_bad_file(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """Each way a credential file can be bad is one sentence at its own path."""
    if content is not None:
        (tmp_path / "sk").write_bytes(content)
    config = parse_config("accounts: [{access_key_id: AK, secret_access_key_file: sk}]", tmp_path)
    problems = file_problems(config, ENVIRON)
    assert [f"accounts[0].secret_access_key_file: {sentence}"] == [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (".", "the file is a directory, not a file"),
        ("/dev/zero", "the file is a device, not a file"),
        ("/dev/stdin", "the file is "),
        ("pipe", "the file is a named pipe, not a file"),
        ("link", "the file is a named pipe, not a file"),
        ("socket", "the file is a socket, not a file"),
    ],
)
def test_what_is_no_file(tmp_path: Path, name: str, sentence: str) -> None:
    """A directory, as a mount that went wrong leaves it, is said to be one; a pipe is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        text = (
            "accounts: [{access_key_id_file: FILE, secret_access_key: SK, tls_config: {ca_file: FILE}}]\n"
            "http_sd_configs: [{url: 'https://a', authorization: {credentials_file: FILE}, "
            "tls_config: {ca_file: FILE}}]\n"
            "push: {token_file: FILE}\ncallbacks: {secret_file: FILE}"
        )
        problems = file_problems(parse_config(text.replace("FILE", name), tmp_path), {})
    assert [problem.sentence.startswith(sentence) for problem in problems] == [True] * 6


def test_no_credentials_at_all(read: Read) -> None:
    (problem,) = file_problems(read("{}"), {"VOLC_ACCESSKEY": ""})
    assert problem.path == "accounts[0]"
    for way in ("access_key_id and secret_access_key,", "secret_access_key_file", "$VOLC_SECRETKEY"):
        assert way in problem.sentence


def test_half_a_pair(read: Read) -> None:
    """One configured key is not completed from the environment: that would pair keys of two owners."""
    config = read("accounts: [{secret_access_key: SK}]")
    assert [str(problem) for problem in file_problems(config, ENVIRON)] == [
        "accounts[0].access_key_id: is required beside the other key of the pair, itself or as a file"
    ]


def test_half_an_environment(read: Read) -> None:
    """The missing variable is named, and a bad one too, without its value."""
    assert [str(problem) for problem in file_problems(read("{}"), {"VOLC_ACCESSKEY": "AK"})] == [
        "accounts[0]: $VOLC_SECRETKEY is not set, the other key's variable is"
    ]
    assert [str(problem) for problem in file_problems(read("{}"), ENVIRON | {"VOLC_ACCESSKEY": '"AKLT"'})] == [
        "accounts[0]: $VOLC_ACCESSKEY is in quotes: write the value alone, quotes are not taken off here"
    ]
    assert [str(problem) for problem in file_problems(read("{}"), ENVIRON | {"VOLC_SECRETKEY": "hunter\n2"})] == [
        "accounts[0]: $VOLC_SECRETKEY must be one line of plain ASCII text"
    ]


def test_all_accounts_at_once(tmp_path: Path) -> None:
    """Every account's problems are told, the authority's file among them."""
    text = """
    accounts:
      - {name: a, app_ids: [x], access_key_id_file: a, secret_access_key_file: b, tls_config: {ca_file: c}}
      - {name: b, app_ids: [y], access_key_id: AK}
    """
    assert [problem.path for problem in file_problems(parse_config(text, tmp_path), {})] == [
        "accounts[0].access_key_id_file",
        "accounts[0].secret_access_key_file",
        "accounts[0].tls_config.ca_file",
        "accounts[1].secret_access_key",
    ]


def test_resolve_raises_all_of_it(read: Read) -> None:
    with pytest.raises(ConfigError, match="has no credentials"):
        of(read("{}"), {})
