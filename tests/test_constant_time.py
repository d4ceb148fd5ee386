"""Secrets are compared by hmac.compare_digest and by nothing else: where it says no, the right secret is refused."""

import asyncio
from pathlib import Path

import pytest

from exporter.config.credentials import TokenFile, TokenKey
from exporter.enums import CallbackOutcome
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import CallbackEvent, callback_payload
from exporter.volcengine.callbacks import CallbackRules, verify_callback
from exporter.web.auth import Login, PasswordChecker
from tests.support.certificates import HASH, PASSWORD

SECRET = "a-secret-of-the-tests"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What compare_digest says, wherever it is used; it is what a test makes of the list's only element."""
    said = [True]
    for place in ("config.credentials", "volcengine.callbacks", "web.auth"):
        monkeypatch.setattr(f"exporter.{place}.compare_digest", lambda _given, _known: said[0])
    return said


@pytest.mark.parametrize("equal", [True, False])
def test_tokens(tmp_path: Path, answers: list[bool], equal: bool) -> None:
    """Of pushes."""
    (tmp_path / "tokens").write_text(SECRET)
    answers[:] = [equal]
    assert TokenFile(TokenKey("push.token_file", "token"), tmp_path / "tokens").matches(SECRET) == equal


@pytest.mark.parametrize("equal", [True, False])
def test_signatures(answers: list[bool], equal: bool) -> None:
    """Of callbacks."""
    answers[:] = [equal]
    body = callback_payload(CallbackEvent(TargetId("app", "room", "task"), 1_000, 4, "", "event"), SECRET, "4821")
    outcome = verify_callback(body, CallbackRules((SECRET,), ("Webcast",), 900.0), 1.0).outcome
    assert (outcome is CallbackOutcome.BAD_SIGNATURE) == (not equal)


@pytest.mark.parametrize("equal", [True, False])
def test_passwords_that_are_remembered(answers: list[bool], equal: bool) -> None:
    """Whatever it says no to is bcrypt's to judge."""
    answers[:] = [equal]
    passwords = PasswordChecker({"alice": HASH.encode()})
    assert asyncio.run(passwords.check(Login("alice", b"guessed"))) == equal
    answers[:] = [False]
    assert asyncio.run(passwords.check(Login("alice", PASSWORD.encode())))
