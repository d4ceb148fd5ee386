"""`check --callback`: what one captured body comes to."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import Result

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import CallbackEvent, callback_payload

if TYPE_CHECKING:
    from tests.cli.conftest import Api

Run = Callable[..., Result]
Check = Callable[..., Result]

APP = "661e0000000000000000543c"
SECRET = "canary-in-the-callback-secret"
KEYS = "AppId, BusinessId, RoomId, Status, TaskId"


def body(status: int = 4, reason: str = "PageFreeze", *, age: float = 0.0, secret: str = SECRET, **more: str) -> bytes:
    """A captured body, `age` seconds old."""
    notice = CallbackEvent(TargetId(APP, "Room1", "Task1"), round((time.time() - age) * 1000), status, reason, "evt-1")
    return callback_payload(notice, secret, "4821", **more)


@pytest.fixture
def check(run: Run, api: "Api", tmp_path: Path) -> Check:
    """`check(body, **sections)`: the command on a file of this body, with callbacks on."""
    (tmp_path / "secrets").write_text(f"another-secret-of-ours\n{SECRET}\n")
    captured = tmp_path / "body"

    def with_body(content: bytes, **sections: object) -> Result:
        captured.write_bytes(content)
        config = api.config(**{"callbacks": {"secret_file": "secrets"}, **sections})
        result = run("check", "--config.file", config, "--callback", str(captured))
        assert SECRET not in result.output
        return result

    return with_body


def lines(result: Result) -> list[str]:
    """What was said of the body."""
    return [line.partition("body: ")[2] for line in result.stdout.splitlines() if "body: " in line]


def test_a_good_one(check: Check) -> None:
    """Exit 0: what it is, that its signature fits, and what it would count."""
    result = check(body())
    assert result.exit_code == 0
    assert lines(result) == [
        "EventType 'Webcast', EventData has AppId, BusinessId, Reason, RoomId, Status, TaskId",
        "the signature fits",
        f"counts a page refresh for PageFreeze; {APP}/Room1/Task1 is then a target, and is read at once",
    ]


def test_one_that_is_about_no_page(check: Check) -> None:
    """A start counts nothing, and has its task read."""
    assert lines(check(body(1, "")))[-1].startswith("counts no page event; ")


def test_an_old_one(check: Check) -> None:
    """A body captured yesterday is good, and would be stale now: exit 0, with its time."""
    result = check(body(age=86_400))
    assert result.exit_code == 0
    assert "sent now it would be stale (max_age is 15m)" in lines(result)[-1]


def test_values_that_nobody_documents(check: Check) -> None:
    """They are named; the body is good."""
    result = check(body(9))
    assert (result.exit_code, lines(result)[-1]) == (
        0,
        "EventData.Status has a value that the vendor does not document",
    )


@pytest.mark.parametrize(
    ("content", "sections", "sentence"),
    [
        (body(secret="wrong"), {}, "bad_signature: the signature fits none of the secrets; is its app's secret in"),
        (body(event_type="WebcastState"), {}, "ignored: its EventType is none of callbacks.event_types; add it to"),
        (b"nonsense", {}, "malformed: the body is not JSON"),
        (b"", {}, "malformed: the body is not JSON"),
        (b"x" * 70_000, {}, "has more than 65,536 bytes, and would be refused (413)"),
        (body(), {"app_ids": ["another"]}, f"ignored: app {APP} is in no account's app_ids"),
    ],
)
def test_one_that_would_not_be_taken(
    check: Check, api: "Api", content: bytes, sections: dict[str, list[str]], sentence: str
) -> None:
    """Exit 1, and what to do about it on standard error."""
    result = check(content, accounts=[api.account(**sections)])
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_the_shape_of_an_ignored_one_is_told(check: Check) -> None:
    """Its EventType and key names are what a person needs for `event_types`."""
    assert lines(check(body(1, "", event_type="WebcastState"))) == [f"EventType 'WebcastState', EventData has {KEYS}"]


def test_a_file_that_is_not_there(run: Run, api: "Api", check: Check) -> None:
    """Exit 1, in a sentence."""
    check(body())
    config = api.config(callbacks={"secret_file": "secrets"})
    result = run("check", "--config.file", config, "--callback", "nothing")
    assert (result.exit_code, result.stderr) == (1, "webcast-exporter: nothing: does not exist\n")


def test_callbacks_that_are_off(check: Check) -> None:
    """Exit 2: without a secret nothing can be said."""
    result = check(body(), callbacks={})
    assert result.exit_code == 2
    assert result.stderr == "webcast-exporter: callbacks.secret_file: is needed to check a callback\n"
