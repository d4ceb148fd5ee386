"""The section `callbacks` (contract, section 2)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.checks import warnings
from exporter.config.loader import load
from exporter.config.schema import Config
from exporter.errors import ConfigError

CANARY = "canary-in-the-callback-secret"


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], Config]:
    """A configuration beside a file `secret`, loaded as for `serve`."""
    (tmp_path / "secret").write_text(f"{CANARY}\n")

    def read(section: str) -> Config:
        file = tmp_path / "webcast-exporter.yml"
        file.write_text(f"accounts: [{{access_key_id: AK, secret_access_key: SK}}]\ncallbacks: {section}\n")
        return load(file, {})

    return read


def test_callbacks_are_off_without_a_file(read: Callable[[str], Config]) -> None:
    """By default nobody can call back; the event type is a guess, a quarter of an hour is the age."""
    section = read("callbacks:").callbacks
    assert (section.secret_file, section.listen_address) == (None, None)
    room_events = ("UserJoinRoom", "UserLeaveRoom", "InvisibleUserLeaveRoom")
    assert (section.event_types, section.max_age) == (("Webcast", *room_events), 900.0)
    text = "callbacks: {secret_file: keys/s, event_types: [A, B], max_age: 1s, listen_address: ':10961'}"
    section = read(text).callbacks
    assert (section.secret_file, section.event_types) == (Path("/etc/webcast/keys/s"), ("A", "B"))
    assert (section.max_age, section.listen_address) == (1.0, ":10961")


def test_problems_of_the_section(problems: Callable[[str], list[str]]) -> None:
    """Each at its place; a secret itself is not a key of the file."""
    text = "callbacks: {secret_file: '', event_types: [], max_age: 0s, listen_address: '10961', secret: x}"
    assert problems(text) == [
        "callbacks.secret_file: must not be empty",
        "callbacks.event_types: must name an EventType",
        "callbacks.max_age: must not be zero",
        "callbacks.listen_address: '10961' is no address to listen on: write HOST:PORT or :PORT",
        "callbacks.secret: is not a known key; did you mean secret_file?",
    ]
    assert problems("callbacks: {event_types: [Webcast, Webcast]}") == ["callbacks.event_types: names Webcast twice"]
    assert problems("callbacks: {event_types: [[1]]}") == ["callbacks.event_types[0]: must be a string"]


@pytest.mark.parametrize("name", ["nothing", "."])
def test_a_file_without_secrets_is_a_problem_at_the_load(loaded: Callable[[str], Config], name: str) -> None:
    """Told with its place."""
    with pytest.raises(ConfigError, match=r"callbacks\.secret_file: the file (does not exist|is a directory)"):
        loaded(f"{{secret_file: {name}}}")


def test_what_is_warned_of(loaded: Callable[[str], Config], tmp_path: Path) -> None:
    """A secret that can be guessed, and an address to which nothing will come."""
    assert warnings(loaded("{secret_file: secret, listen_address: ':10961'}")) == []
    (tmp_path / "secret").write_text("fifteen-letters\n")
    assert warnings(loaded("{secret_file: secret}")) == [
        "callbacks.secret_file: holds a secret of fewer than 16 characters, which can be guessed"
    ]
    assert warnings(loaded("{listen_address: ':10961'}")) == [
        "callbacks.listen_address: has no effect without callbacks.secret_file"
    ]


def test_no_repr_tells_a_secret(loaded: Callable[[str], Config]) -> None:
    """The configuration knows the file alone."""
    assert CANARY not in repr(loaded("{secret_file: secret}"))
