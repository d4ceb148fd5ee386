import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.config.loader import parse_config
from exporter.config.schema import Config
from exporter.errors import ConfigError
from exporter.service.file_watcher import FileWatcher, WebFile, load_both
from tests.support.certificates import HASH

OPEN = "its mode 0644 lets every user of this machine read the file; chmod o-r it"


@pytest.fixture
def readable(tmp_path: Path) -> Path:
    for name in ("tokens", "webcast-exporter.yml", "web.yml"):
        (tmp_path / name).write_text(f"basic_auth_users: {{alice: {HASH}}}\n")
        (tmp_path / name).chmod(0o644)
    return tmp_path


def config_in(readable: Path, text: str = "push: {token_file: tokens}") -> Config:
    return parse_config(text, readable)


def problems(caplog: pytest.LogCaptureFixture) -> list[str]:
    events = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [event["problem"] for event in events if event["event"] == "secret file readable by all"]


def test_exposed_files_are_warned_of_once(readable: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And again only after a change of the file; once it is closed there is nothing to say."""
    watched, config = FileWatcher(None, None), config_in(readable)
    for _ in range(3):
        watched.check(config)
    assert problems(caplog) == [f"push.token_file: {OPEN}"]
    os.utime(readable / "tokens", ns=(1, 1))
    for _ in range(3):
        watched.check(config)
    assert problems(caplog) == [f"push.token_file: {OPEN}"] * 2
    (readable / "tokens").chmod(0o600)
    os.utime(readable / "tokens", ns=(2, 2))
    watched.check(config)
    assert len(caplog.messages) == 2


def test_the_command_lines_files_are_looked_at(readable: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The configuration when it has a key in it, and the web config file with its hashes."""
    own, web = readable / "webcast-exporter.yml", readable / "web.yml"
    watched = FileWatcher(own, web)
    watched.check(config_in(readable, "accounts: [{name: a}]"))
    assert problems(caplog) == [f"{web}: {OPEN}"]
    watched.check(config_in(readable, "accounts: [{access_key_id: AK, secret_access_key: SK}]"))
    assert problems(caplog)[1:] == [f"{own}: {OPEN}"]


def test_without_a_web_config_file_all_is_open() -> None:
    """Plain HTTP, for everybody."""
    policy = FileWatcher(None, None).policy.now
    assert (policy.tls, policy.rate, bool(policy.passwords), policy.headers) == (None, None, False, {})


def test_both_files_tell_their_problems(readable: Path) -> None:
    """At once, whichever is bad."""
    (readable / "web.yml").write_text("nonsense: 1")

    def bad() -> Config:
        return config_in(readable, "pollng: {}")

    with pytest.raises(ConfigError) as caught:
        load_both(bad, None, readable / "web.yml")
    assert [str(problem) for problem in caught.value.problems] == [
        "pollng: is not a known key; did you mean polling?",
        f"{readable}/web.yml: nonsense: is not a known key",
    ]
    with pytest.raises(ConfigError, match="nonsense"):
        load_both(lambda: config_in(readable), None, readable / "web.yml")


if TYPE_CHECKING:
    from exporter.simulator.server import Certificates

TLS = "tls_server_config: {cert_file: tls.pem, key_file: tls.pem}\n"
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"
STAYS = "web config file not reloaded"


class Folder:
    """A web config file and its certificate; every version has a time of its own."""

    def __init__(self, path: Path, certificates: "Certificates") -> None:
        self.path, self.certificates = path, certificates
        self.file = path / "web.yml"
        self._version = 0

    def write(self, text: str) -> None:
        """Another version of the file."""
        self.file.write_text(text)
        self._date(self.file)

    def show(self, pem: Path) -> None:
        """Another version of the certificate."""
        shutil.copy(pem, self.path / "tls.pem")
        self._date(self.path / "tls.pem")

    def open(self) -> WebFile:
        """The file at work."""
        return WebFile(self.file)

    def _date(self, file: Path) -> None:
        self._version += 1
        os.utime(file, ns=(self._version, self._version))


@pytest.fixture
def folder(tmp_path: Path, certificates: "Certificates") -> Folder:
    made = Folder(tmp_path, certificates)
    made.show(certificates.trusted)
    made.write(TLS + USERS)
    return made


def looks(file: WebFile, number: int) -> None:
    for _ in range(number):
        file.refresh()


def test_a_change_is_taken_once_it_has_come_to_rest(folder: Folder) -> None:
    """At the second look that finds it the same, so that no half of a file is taken."""
    file = folder.open()
    first = file.policy.now
    folder.write(TLS)
    looks(file, 1)
    folder.write(TLS + "rate_limit: {interval: 1s, burst: 1}")
    looks(file, 1)
    assert file.policy.now is first
    looks(file, 1)
    assert (file.policy.now.rate is None, bool(file.policy.now.passwords)) == (False, False)


def test_what_has_not_changed_is_not_read_again(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """Nor said to be."""
    caplog.set_level("INFO")
    file = folder.open()
    first = file.policy.now
    looks(file, 5)
    assert file.policy.now is first
    assert caplog.messages == []


def test_another_certificate_is_a_change(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """Though the file itself stays as it was; both listeners get it."""
    caplog.set_level("INFO")
    file = folder.open()
    first = file.policy.now
    folder.show(folder.certificates.stranger)
    looks(file, 2)
    assert file.policy.now.tls != first.tls
    assert file.policy.now.callback_tls != first.callback_tls
    assert caplog.messages == [f"web config file reloaded path={folder.file}"]
    looks(file, 3)
    assert len(caplog.messages) == 1


def test_who_was_let_in_stays_so(folder: Folder) -> None:
    """A renewed certificate costs no user a check of the password; other users do."""
    file = folder.open()
    first = file.policy.now
    folder.show(folder.certificates.stranger)
    looks(file, 2)
    assert file.policy.now is not first
    assert file.policy.now.passwords is first.passwords
    folder.write(TLS + USERS.replace("alice", "bob"))
    looks(file, 2)
    assert file.policy.now.passwords is not first.passwords


def test_a_certificate_that_is_named_anew_is_watched(folder: Folder) -> None:
    """Files that the first version did not name are looked at from then on."""
    folder.write(USERS)
    file = folder.open()
    folder.write(TLS)
    looks(file, 2)
    second = file.policy.now
    assert second.tls is not None
    folder.show(folder.certificates.stranger)
    looks(file, 2)
    assert file.policy.now is not second


def test_a_bad_change_keeps_what_was(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, however long it lasts, and again when it is bad in another way; then the good one is taken."""
    file = folder.open()
    first = file.policy.now
    for text, sentence in (
        ("tls_server_config: {cert_file: no.pem, key_file: tls.pem, min_version: TLS9}", "min_version: must be"),
        ("[", "the file is not YAML"),
        ("[ ", "the file is not YAML"),
    ):
        folder.write(text)
        looks(file, 4)
        assert sentence in caplog.messages[-1]
        assert STAYS in caplog.messages[-1]
        assert file.policy.now is first
    assert len(caplog.messages) == 2
    folder.write(USERS)
    looks(file, 2)
    assert file.policy.now is not first


def test_a_bad_certificate_keeps_what_was(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """New connections still get the old one; once the file is put right it is taken."""
    file = folder.open()
    first = file.policy.now
    (folder.path / "tls.pem").unlink()
    looks(file, 3)
    assert file.policy.now is first
    missing = [f"tls_server_config.{key}: the file does not exist" for key in ("cert_file", "key_file")]
    assert caplog.messages == [f"{STAYS} path={folder.file} error={'; '.join(missing)}"]
    folder.show(folder.certificates.stranger)
    looks(file, 2)
    assert file.policy.now is not first


def test_a_fault_that_comes_back_is_told_again(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """When the very file that was away is there again all is well, and the next time is news."""
    file = folder.open()
    for _ in range(2):
        folder.file.rename(folder.path / "away")
        looks(file, 3)
        (folder.path / "away").rename(folder.file)
        looks(file, 3)
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("text", ["", "# an editor is about to write\n", "basic_auth_users:\n"])
def test_a_file_that_is_emptied_opens_nothing(folder: Folder, caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Passwords and TLS are not taken away by a truncated file; that takes a restart."""
    file = folder.open()
    first = file.policy.now
    folder.write(text)
    looks(file, 3)
    assert file.policy.now is first
    assert "without a restart its protection is not taken away" in caplog.text
    assert not folder.open().policy.now.passwords


def test_a_bad_file_to_begin_with(folder: Folder) -> None:
    folder.write("tls_server_config: {cert_file: no.pem, key_file: no.pem}\n")
    with pytest.raises(ConfigError) as caught:
        folder.open()
    assert [str(problem) for problem in caught.value.problems] == [
        f"{folder.file}: tls_server_config.cert_file: the file does not exist",
        f"{folder.file}: tls_server_config.key_file: the file does not exist",
    ]
