"""What is looked at every second beside the configuration."""

import os
from pathlib import Path

import pytest

from exporter.config.loader import parse_config
from exporter.config.schema import Config
from exporter.errors import ConfigError
from exporter.service.file_watcher import FileWatcher, load_both
from exporter.web.auth import OPEN_POLICY
from tests.support.certificates import HASH

OPEN = "its mode 0644 lets every user of this machine read the file; chmod o-r it"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that everybody can read."""
    for name in ("tokens", "webcast-exporter.yml", "web.yml"):
        (tmp_path / name).write_text(f"basic_auth_users: {{alice: {HASH}}}\n")
        (tmp_path / name).chmod(0o644)
    return tmp_path


def config_in(folder: Path, text: str = "push: {token_file: tokens}") -> Config:
    """A configuration in the folder."""
    return parse_config(text, folder)


def problems(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The logged problems."""
    events = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [event["problem"] for event in events if event["event"] == "secret file readable by all"]


def test_exposed_files_are_warned_of_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And again only after a change of the file; once it is closed there is nothing to say."""
    watched, config = FileWatcher(None, None), config_in(folder)
    for _ in range(3):
        watched.check(config)
    assert problems(caplog) == [f"push.token_file: {OPEN}"]
    os.utime(folder / "tokens", ns=(1, 1))
    for _ in range(3):
        watched.check(config)
    assert problems(caplog) == [f"push.token_file: {OPEN}"] * 2
    (folder / "tokens").chmod(0o600)
    os.utime(folder / "tokens", ns=(2, 2))
    watched.check(config)
    assert len(caplog.messages) == 2


def test_the_command_lines_files_are_looked_at(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The configuration when it has a key in it, and the web config file with its hashes."""
    own, web = folder / "webcast-exporter.yml", folder / "web.yml"
    watched = FileWatcher(own, web)
    watched.check(config_in(folder, "accounts: [{name: a}]"))
    assert problems(caplog) == [f"{web}: {OPEN}"]
    watched.check(config_in(folder, "accounts: [{access_key_id: AK, secret_access_key: SK}]"))
    assert problems(caplog)[1:] == [f"{own}: {OPEN}"]


def test_without_a_web_config_file_all_is_open() -> None:
    """Plain HTTP, for everybody."""
    assert FileWatcher(None, None).policy() is OPEN_POLICY


def test_both_files_tell_their_problems(folder: Path) -> None:
    """At once, whichever is bad."""
    (folder / "web.yml").write_text("nonsense: 1")

    def bad() -> Config:
        return config_in(folder, "pollng: {}")

    with pytest.raises(ConfigError) as caught:
        load_both(bad, None, folder / "web.yml")
    assert [str(problem) for problem in caught.value.problems] == [
        "pollng: is not a known key; did you mean polling?",
        f"{folder}/web.yml: nonsense: is not a known key",
    ]
    with pytest.raises(ConfigError, match="nonsense"):
        load_both(lambda: config_in(folder), None, folder / "web.yml")
