import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.credentials import PUSH_TOKENS, TokenFile, read_tokens
from exporter.config.loader import load, warnings
from exporter.config.schema import Config
from exporter.errors import ConfigError

CANARY = "canary-in-the-token-file"


class Folder:
    """A file of tokens."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "tokens"
        self._version = 0

    def write(self, text: str) -> None:
        """Another version of the file, told apart by its time."""
        self._version += 1
        self.file.write_text(text)
        os.utime(self.file, ns=(self._version, self._version))

    def open(self) -> TokenFile:
        """The file at work."""
        return TokenFile(PUSH_TOKENS, self.file)

    def config(self, push: str = "{token_file: tokens}") -> Config:
        """A configuration beside it, loaded as for `serve`."""
        path = self.file.with_name("webcast-exporter.yml")
        path.write_text(f"accounts: [{{access_key_id: AK, secret_access_key: SK}}]\npush: {push}\n")
        return load(path, {})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(f"{CANARY}\n")
    return made


def test_push_is_off_without_a_file(read: Callable[[str], Config]) -> None:
    """By default pushing is off; a target then stays 26 hours."""
    assert (read("push:").push.token_file, read("push:").push.ttl) == (None, 93_600.0)
    section = read("push: {token_file: keys/tokens, ttl: 1s}").push
    assert (section.token_file, section.ttl) == (Path("/etc/webcast/keys/tokens"), 1.0)


def test_problems_of_the_section(problems: Callable[[str], list[str]]) -> None:
    """Each at its place; a token itself is not a key of the file."""
    assert problems("push: {token_file: '', ttl: 0s, token: x}") == [
        "push.token_file: must not be empty",
        "push.ttl: must not be zero",
        "push.token: is not a known key; did you mean token_file?",
    ]


def test_one_token_a_line(folder: Folder) -> None:
    """Blank lines and white space around a token are no part of it; every line is one."""
    folder.write("\n  first-token \r\n\n\tsecond token\n")
    assert [line.get_secret_value() for line in read_tokens(folder.file, "token")] == ["first-token", "second token"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b" \n\n", "the file holds no token"),
        (b"good-token\nt\xc3\xb6ken\n", "the file cannot be used: line 2 must be one line of plain ASCII text"),
        (b"a\x00b\n", "the file cannot be used: line 1 must be one line of plain ASCII text"),
        (b"\xff\n", "the file is not UTF-8 text (at byte 0)"),
        (b"x" * 70_000, "the file has more than 65,536 bytes"),
        (
            b"good-token\n'quoted-token'\n",
            "the file cannot be used: line 2 is in quotes: write the value alone, quotes are not taken off here",
        ),
        (None, "the file does not exist"),
    ],
)
def test_a_file_without_tokens_is_a_problem_at_the_load(folder: Folder, content: bytes | None, sentence: str) -> None:
    """Told with its place, by the load and where the file is opened, and never with a line of it."""
    if content is None:
        folder.file.unlink()
    else:
        folder.file.write_bytes(content)
    for attempt in (folder.config, folder.open):
        with pytest.raises(ConfigError) as caught:
            attempt()
        assert [str(problem) for problem in caught.value.problems] == [f"push.token_file: {sentence}"]


def test_short_tokens_are_warned_of(folder: Folder) -> None:
    assert warnings(folder.config()) == []
    folder.write("fifteen-letters\n")
    expected = ["push.token_file: holds a token of fewer than 16 characters, which can be guessed"]
    assert warnings(folder.config()) == expected
    folder.config()
    folder.file.unlink()
    with pytest.raises(ConfigError):
        folder.config()


def test_each_token_is_accepted_and_no_part_of_one(folder: Folder) -> None:
    folder.write("first-token\nsecond-token")
    tokens = folder.open()
    others = ("", "first", "first-token ", "FIRST-TOKEN", "first-token\nsecond-token", "t\xf6ken")
    assert [tokens.matches(token) for token in ("first-token", "second-token")] == [True, True]
    assert [token for token in others if tokens.matches(token)] == []


def test_tokens_rotate(folder: Folder) -> None:
    """The file is read again by a look, when it has changed, and by nothing else: its disk may hang."""
    tokens = folder.open()
    folder.write("another-token")
    assert (tokens.matches(CANARY), tokens.matches("another-token")) == (True, False)
    tokens.refresh()
    assert (tokens.matches(CANARY), tokens.matches("another-token")) == (False, True)


def test_a_bad_change_keeps_the_tokens(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """While the file cannot be used its last good tokens are accepted, and the log says so once."""
    tokens = folder.open()
    for _ in range(3):
        folder.write("\n")
        tokens.refresh()
        assert tokens.matches(CANARY)
    assert caplog.messages == [
        f"secret file not reloaded source=push.token_file path={folder.file} error=holds no token"
    ]
    folder.write("another-token")
    tokens.refresh()
    assert (tokens.matches(CANARY), tokens.matches("another-token")) == (False, True)


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(folder: Folder) -> None:
    """The tokens stay, as with every other change that cannot be used."""
    tokens = folder.open()
    folder.file.unlink()
    os.mkfifo(folder.file)
    tokens.refresh()
    assert tokens.matches(CANARY)


def test_no_token_is_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    tokens = folder.open()
    tokens.matches(CANARY)
    assert repr(tokens) == "TokenFile(1 tokens)"
    assert CANARY not in caplog.text + repr(vars(tokens)) + repr(folder.config())
