import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config import credentials
from exporter.config.credentials import CredentialSource
from exporter.config.documents import read_text
from exporter.config.loader import parse_config
from exporter.errors import ConfigError
from exporter.model.credentials import Credentials

FILES = "accounts: [{name: edu, access_key_id_file: ak, secret_access_key_file: sk}]"


class Folder:
    """A folder of credential files with a source that reads them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes = 0
        self.write(ak="AK1", sk="SK1")
        account = parse_config(FILES, path).accounts[0]
        self.account = account
        self.source = self.open()

    def write(self, **files: str) -> None:
        """Write these files, each with a modification time of its own."""
        for name, content in files.items():
            self.writes += 1
            file = self.path / name
            file.write_text(content)
            os.utime(file, ns=(self.writes, self.writes))

    def open(self) -> CredentialSource:
        """A source that starts now."""
        return CredentialSource(self.account, {}, "accounts[0]")

    def refreshed(self) -> Credentials:
        """The set in force after a look at the files."""
        self.source.refresh()
        return self.source.in_force


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_changed_set(folder: Folder) -> None:
    """A set that changed is in force at the next look, which says so."""
    assert Credentials("AK1", "SK1") == folder.source.in_force
    folder.write(ak="AK2", sk="SK2")
    assert folder.source.refresh()
    assert Credentials("AK2", "SK2") == folder.source.in_force


def test_only_a_refresh_touches_the_disk(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs, hangs the refresh alone: every other caller gets the last good set."""
    monkeypatch.setattr(credentials, "fingerprints", lambda _: pytest.fail("the disk is touched"))
    monkeypatch.setattr(credentials, "read_text", lambda *_: pytest.fail("the disk is touched"))
    assert Credentials("AK1", "SK1") == folder.source.in_force


def test_same_content_is_no_change(folder: Folder) -> None:
    """Files written anew with the same values are not a new set."""
    folder.write(ak="AK1", sk="SK1")
    assert not folder.source.refresh()


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("")])
def test_half_a_rotation_keeps_the_last_good_set(folder: Folder, damage: Callable[[Path], object]) -> None:
    """While one file of the set is missing or empty, nothing of the new set is used; then all of it is."""
    folder.write(ak="AK2")
    damage(folder.path / "sk")
    assert Credentials("AK1", "SK1") == folder.refreshed()
    assert [problem.path for problem in folder.source.problems] == ["accounts[0].secret_access_key_file"]
    folder.write(sk="SK2")
    assert Credentials("AK2", "SK2") == folder.refreshed()
    assert folder.source.problems == ()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('"canary"', "is in quotes: write the value alone, quotes are not taken off here"),
        ("<canary>", "is a placeholder in <...>: write the value itself"),
        ("VOLC_SECRETKEY=canary", "is NAME=value: write the value alone"),
        ("canary\ncanary", "must be one line of plain ASCII text"),
    ],
)
def test_a_bad_change_is_logged_once(
    folder: Folder, caplog: pytest.LogCaptureFixture, content: str, fault: str
) -> None:
    """The last good set goes on working, until the vendor's side drops it: only the log says that it is the old one."""
    for _ in range(3):
        folder.write(sk=content)
        assert Credentials("AK1", "SK1") == folder.refreshed()
    place, file = "accounts[0].secret_access_key_file", folder.path / "sk"
    assert caplog.messages == [f"secret file not reloaded source={place} path={file} error=the file {fault}"]


def test_files_that_move_while_they_are_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set whose files changed between the first and the last of them is not used; the next look reads it whole."""
    folder.write(ak="AK2")

    def slowly(path: Path, limit: int) -> str:
        if path.name == "sk":
            monkeypatch.undo()
            folder.write(sk="SK3", ak="AK3")
        return read_text(path, limit)

    monkeypatch.setattr(credentials, "read_text", slowly)
    assert Credentials("AK1", "SK1") == folder.refreshed()
    assert Credentials("AK3", "SK3") == folder.refreshed()


def test_the_first_set_is_used_even_if_it_moves(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start a set that is being written is better than none; the next look reads it again."""

    def slowly(path: Path, limit: int) -> str:
        if path.name == "sk":
            monkeypatch.undo()
            folder.write(ak="AK2")
        return read_text(path, limit)

    monkeypatch.setattr(credentials, "read_text", slowly)
    source = folder.open()
    assert source.in_force == Credentials("AK1", "SK1")
    assert source.refresh()
    assert source.in_force == Credentials("AK2", "SK1")


def test_files_that_did_not_change_are_not_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at files that are as they were opens none of them."""
    opened: list[Path] = []
    monkeypatch.setattr(credentials, "read_text", lambda path, *_: opened.append(path))
    assert folder.refreshed() == Credentials("AK1", "SK1")
    assert opened == []


def test_a_file_that_comes_back_is_no_problem(folder: Folder) -> None:
    """When the very file that was missing is there again, the set is good again and has not changed."""
    (folder.path / "sk").rename(folder.path / "away")
    folder.refreshed()
    assert [problem.path for problem in folder.source.problems] == ["accounts[0].secret_access_key_file"]
    (folder.path / "away").rename(folder.path / "sk")
    assert not folder.source.refresh()
    assert folder.source.problems == ()


def test_never_a_good_set(folder: Folder) -> None:
    folder.write(ak="")
    with pytest.raises(ConfigError, match="access_key_id_file: the file is empty"):
        folder.open()


def test_without_files() -> None:
    """Credentials of the environment are one set for good."""
    account = parse_config("{}", Path()).accounts[0]
    source = CredentialSource(account, {"VOLC_ACCESSKEY": "AK", "VOLC_SECRETKEY": "SK"})
    assert not source.refresh()
    assert Credentials("AK", "SK") == source.in_force


def test_its_repr_hides_all(folder: Folder) -> None:
    """The source shows its account's name and nothing of the set."""
    assert repr(folder.source) == "CredentialSource(account='edu')"
