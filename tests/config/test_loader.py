from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.loader import MAX_CONFIG_FILE, load, warnings
from exporter.config.schema import Config
from exporter.errors import ConfigError


def refused(path: Path) -> str:
    """What `load` says of a file that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named in one sentence."""
    assert f"{tmp_path}/no.yml does not exist" == refused(tmp_path / "no.yml")


def test_a_directory(tmp_path: Path) -> None:
    """A directory in the file's place is said to be one."""
    assert f"{tmp_path} is a directory, not a file" == refused(tmp_path)


def test_a_file_as_a_folder(tmp_path: Path) -> None:
    """A path through a file leads nowhere."""
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file/c.yml does not exist" == refused(tmp_path / "file" / "c.yml")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file this user may not read is one sentence."""

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    assert f"{tmp_path} may not be read by this user" == refused(tmp_path)


def test_an_impossible_name() -> None:
    """A name no file can have is one sentence, too long or with a NUL."""
    assert refused(Path("a\0b")).endswith("is not a possible file name")
    assert refused(Path("a" * 5000)).endswith("cannot be read (File name too long)")


def test_not_utf_8(tmp_path: Path) -> None:
    """Text in another encoding is said to be, with the place."""
    file = tmp_path / "c.yml"
    file.write_bytes(b"a: \xff")
    assert f"{file} is not UTF-8 text (at byte 3)" == refused(file)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """A mark that some editors put first changes nothing."""
    file = tmp_path / "c.yml"
    file.write_bytes(b"\xef\xbb\xbf{}")
    assert Config() == load(file)


def test_too_large(tmp_path: Path) -> None:
    """A file over 10 MiB is not even parsed."""
    file = tmp_path / "c.yml"
    file.write_bytes(b"#" * (MAX_CONFIG_FILE + 1))
    assert f"{file} has more than 10,485,760 bytes" == refused(file)


def test_relative_files_start_from_the_config(tmp_path: Path) -> None:
    """A file named in the file is sought beside it, wherever the process runs."""
    file = tmp_path / "c.yml"
    file.write_text("accounts: [{access_key_id_file: ak, secret_access_key_file: ../sk, session_token_file: /st}]")
    account = load(file).accounts[0]
    assert (tmp_path / "ak", tmp_path / "../sk", Path("/st")) == (
        account.access_key_id_file,
        account.secret_access_key_file,
        account.session_token_file,
    )


def test_credentials_are_checked_when_asked_to(tmp_path: Path) -> None:
    """With an environment, a configuration that could not call is refused; without one it is only read."""
    file = tmp_path / "c.yml"
    file.write_text("{}")
    assert Config() == load(file)
    assert Config() == load(file, {"VOLC_ACCESSKEY": "AK", "VOLC_SECRETKEY": "SK"})
    with pytest.raises(ConfigError, match=r"accounts\[0\]: has no credentials"):
        load(file, {})


def test_20_000_targets(tmp_path: Path) -> None:
    """The size the contract speaks of is far below every bound."""
    file = tmp_path / "c.yml"
    names = "".join(f"  - 661e0000000000000000543c/Room{number}/Task{number}\n" for number in range(20_000))
    file.write_text(f"static_configs:\n- targets:\n{names}")
    assert len(load(file).static_configs[0].targets) == 20_000


def test_warnings(read: Callable[[str], Config]) -> None:
    """What the vendor's quota forbids, and a fast interval that is slow, are warned of and not refused."""
    assert warnings(read("{accounts: [{max_qps: 60.5}], polling: {interval: 1s}}")) == [
        "accounts[0].max_qps: is more than the 60 calls a second that the vendor allows one account",
        "polling.fast_interval: is longer than polling.interval",
    ]
    assert warnings(read("{accounts: [{max_qps: 60}], polling: {interval: 5s}}")) == []
