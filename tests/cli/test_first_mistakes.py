"""The ten likeliest mistakes of a new user: each message says what, where, and what to do next."""

import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result

from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.service import serve as serving
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import SimulatedAccount
from exporter.simulator.lifecycle import CallbackEvent, callback_payload
from exporter.simulator.server import CREDENTIALS
from exporter.web.server import Listener
from tests.support import web_client

if TYPE_CHECKING:
    from tests.cli.conftest import Api

Run = Callable[..., Result]
TASK = TargetId("app", "Room", "Task")
ASKING = ("get", "check")


@pytest.fixture
def ask(run: Run, api: "Api") -> Callable[..., str]:
    """`ask("get", **account)`: what is told on standard error of TASK with such an account; exit 1, and no secret."""

    def asked(by: str, target: TargetId = TASK, **changes: Any) -> str:
        config = api.config(api.account(**changes))
        arguments = {
            "get": ("get", *target, "--config.file", config),
            "check": ("check", "--config.file", config, "--probe", str(target)),
        }
        result = run(*arguments[by])
        assert result.exit_code == 1
        assert "canary" not in result.output
        return result.stderr

    return asked


@pytest.mark.parametrize("by", ASKING)
def test_1_a_wrong_key(ask: Callable[..., str], by: str, api: "Api") -> None:
    """Which of the two it is, from which key or file of the configuration, and where to look it up."""
    told = ask(by, access_key_id="AKLTcanary")
    assert "the API does not accept the access key (code=InvalidAccessKey" in told
    assert "\n  look in the console (IAM) whether this key exists and is enabled\n" in told
    assert told.endswith("\n  the access key is from accounts[0].access_key_id\n")
    file = api.folder / "sk"
    file.touch(mode=0o600)
    file.write_text("canary")
    told = ask(by, secret_access_key=None, secret_access_key_file=str(file))
    assert "is it the secret of this access key?" in told
    assert f"\n  the secret access key is from {file} (accounts[0].secret_access_key_file)\n" in told


def test_1_a_wrong_key_of_the_environment(run: Run, api: "Api") -> None:
    config = api.config({"name": "default", "endpoint": api.simulation.url})
    env = {"VOLC_ACCESSKEY": CREDENTIALS.access_key, "VOLC_SECRETKEY": "canary"}
    told = run("get", *TASK, "--config.file", config, env=env).stderr
    assert "\n  the secret access key is from $VOLC_SECRETKEY\n" in told


@pytest.mark.parametrize("by", ASKING)
def test_2_a_wrong_region(ask: Callable[..., str], by: str, api: "Api") -> None:
    told = ask(by, region="ap-singapore-1")
    assert "\n  accounts[].region must be the one of accounts[].endpoint\n" in told
    assert f"\n  the region is ap-singapore-1 (accounts[0].region), the endpoint {api.simulation.url}\n" in told


@pytest.mark.parametrize("by", ASKING)
def test_3_a_clock_that_is_off(ask: Callable[..., str], by: str, api: "Api") -> None:
    """By how much, in which direction, and what sets it right."""
    api.simulation.faults.begin(FaultMode.CLOCK)
    told = ask(by)
    assert "is this machine's clock right? (code=InvalidTimestamp" in told
    assert "\n  set it by NTP\n" in told
    assert re.search(r"\n  this machine's clock is (1h|59m59s|1h1s) behind the API's\n$", told)


@pytest.mark.parametrize("by", ASKING)
def test_4_no_right(ask: Callable[..., str], by: str, api: "Api") -> None:
    """Which action the policy needs, as far as the vendor documents it, and which account's key it is."""
    api.simulation.faults.begin(FaultMode.LACK_POLICY)
    told = ask(by)
    assert "the access key has no right to call GetWebCastTask" in told
    assert "attach the policy RTCReadOnlyAccess to its user in IAM" in told
    assert "\n  the access key is from accounts[0].access_key_id\n" in told


@pytest.mark.parametrize("by", ASKING)
def test_5_an_app_of_another_account(ask: Callable[..., str], by: str, api: "Api") -> None:
    """The app and the account that was asked, and how several accounts are told apart."""
    other = SimulatedAccount("other", (Credentials("AKLTother", "another secret"),), frozenset({"app"}))
    api.simulation.gateway.accounts = (*api.simulation.gateway.accounts, other)
    told = ask(by)
    assert "the app belongs to another account" in told
    assert "another element of accounts, with the app in its app_ids" in told
    assert "the app is app, asked for with the key of account default" in told


@pytest.mark.parametrize("by", ASKING)
def test_6_room_and_task_swapped(ask: Callable[..., str], by: str, api: "Api") -> None:
    """The triple as it may have been meant, to be copied; it is the one that is there."""
    api.task()
    told = ask(by, TargetId("app", "Task", "Room"))
    assert "if room and task are swapped, it is app/Room/Task" in told


@pytest.mark.parametrize("by", ASKING)
def test_7_a_task_older_than_72_hours(ask: Callable[..., str], by: str) -> None:
    """The API's limit is told with what it does not find."""
    assert re.search(r"within 72 hours|over 72 hours ago", ask(by, TargetId("app", "Room", "LastWeek")))


@pytest.mark.parametrize("by", ASKING)
def test_and_a_wrong_endpoint(ask: Callable[..., str], by: str) -> None:
    """Who was asked, for how long, and what tells more."""
    told = ask(by, endpoint="http://127.0.0.1:9")
    assert "\n  asked was http://127.0.0.1:9 (accounts[0].endpoint): can this machine reach it?" in told
    assert "\n  the timeout is 5s (accounts[0].timeout)\n" in told


def test_8_a_port_in_use(run: Run, api: "Api") -> None:
    """Which address, and the flag that chooses another; before any task is read."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = run("serve", "--config.file", api.config(), "--web.listen-address", address)
    expected = f"webcast-exporter: cannot listen on {address}: address already in use; --web.listen-address"
    assert result.exit_code == 1
    assert result.stderr.startswith(expected)


def body_signed_with(secret: str) -> bytes:
    """What the vendor would call back now."""
    return callback_payload(CallbackEvent(TASK, int(time.time() * 1000), 4, "PageFreeze", "evt-1"), secret, "4821")


def callbacks(api: "Api") -> Mapping[str, Any]:
    """The section, with a secret in its file that is not the vendor's."""
    file = api.folder / "secrets"
    file.touch(mode=0o600)
    file.write_text("the-secret-of-another-app")
    return {"callbacks": {"secret_file": str(file)}}


def test_9_a_wrong_callback_secret(run: Run, api: "Api") -> None:
    """A captured body tells: the file that was looked into, and the other thing that it can be."""
    captured = api.folder / "body.json"
    captured.write_bytes(body_signed_with("canary-of-the-console"))
    result = run("check", "--config.file", api.config(**callbacks(api)), "--callback", str(captured))
    assert result.exit_code == 1
    assert "bad_signature: the signature fits none of the secrets" in result.stderr
    assert f"is its app's secret in callbacks.secret_file, {api.folder / 'secrets'}, " in result.stderr
    assert "byte for byte" in result.stderr
    assert "canary" not in result.output


class EventWaiter(logging.Handler):
    """Tells when a sentence is logged."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self._sentence = sentence
        self.said = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Look for it."""
        if self._sentence in record.getMessage():
            self.said.set()


class Ended(Exception):
    """The test has seen enough."""


def served(
    monkeypatch: pytest.MonkeyPatch, run: Run, config: str, during: Callable[[str], object], more: Sequence[str] = ()
) -> str:
    """`serve` until `during(url)` comes back; its log."""
    really = serving.serve

    def serve(*arguments: Any, **options: Any) -> None:
        def started(_exporter: object, listener: Listener) -> None:
            during(listener.url)
            raise Ended

        with pytest.raises(Ended):
            really(*arguments, **options, started=started)

    monkeypatch.setattr(serving, "serve", serve)
    return run("serve", "--config.file", config, "--web.listen-address", "127.0.0.1:0", *more).stderr


def test_9_a_wrong_callback_secret_while_serving(run: Run, api: "Api", monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says so once, until one fits, and names the command that tells more."""
    answers: list[int] = []

    def during(url: str) -> None:
        bodies = map(body_signed_with, ("canary", "canary", "the-secret-of-another-app", "canary"))
        posts = (web_client.post(f"{url}/callback", content=body) for body in bodies)
        answers.extend(post.status_code for post in posts)

    logged = served(monkeypatch, run, api.config(**callbacks(api)), during)
    assert answers == [401, 401, 200, 401]
    told = [line for line in logged.splitlines() if "callback not signed" in line]
    assert len(told) == 2
    assert "check --callback judges a captured one" in told[0]


def test_the_start_says_what_is_served(run: Run, api: "Api", monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts, sources, state and each address, so that a look at the log shows whether it is what was meant."""
    config = api.config(api.account(name="school"), static_configs=[{"targets": []}], **callbacks(api))
    more = ("--web.listen-address", "[::1]:0")
    logged = served(monkeypatch, run, config, lambda _url: None, more)
    (started,) = (line for line in logged.splitlines() if "msg=started" in line)
    assert "accounts=school sources=static,callback state=sqlite:///" in started
    addresses = re.findall(r"msg=listening address=(http://\S+):\d+$", logged, re.MULTILINE)
    assert addresses == ["http://127.0.0.1", "http://[::1]"]


def test_10_files_relative_to_elsewhere(run: Run, api: "Api", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The folder that was looked into, and from where a relative path starts. Files may come yet: it is no error."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "targets").mkdir(parents=True)
    (elsewhere / "targets/a.yml").write_text("- targets: [app/Room/Task]\n")
    monkeypatch.chdir(elsewhere)
    config = api.config(file_sd_configs=[{"files": ["targets/*.yml"]}])
    expected = (
        f"file_sd_configs[0].files[0]: names no file now in {tmp_path / 'targets'}: "
        "a relative path starts from the folder of the configuration file"
    )
    result = run("check", "--config.file", config)
    assert (result.exit_code, f"warning: {expected}\n" in result.stdout) == (0, True)
    assert expected in served(monkeypatch, run, config, lambda _url: None)
    result = run("check", "--config.file", api.config(file_sd_configs=[{"files": [f"{'x' * 300}.yml"]}]))
    assert (result.exit_code, "cannot be read (File name too long)" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"access_key_id": "AKLTcanary"}, "look in the console (IAM) whether this key exists and is enabled"),
        ({"secret_access_key": "canary"}, "is it the secret of this access key?"),
        ({"region": "ap-singapore-1"}, "accounts[].region must be the one of accounts[].endpoint"),
    ],
)
def test_1_and_2_while_serving(
    run: Run, api: "Api", monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], advice: str
) -> None:
    """The log says whose calls fail, why, and what to do next."""
    config = api.config(api.account(**changes), static_configs=[{"targets": [str(TASK)]}])
    heard = EventWaiter("circuit open account=default")
    log = logging.getLogger("exporter")
    log.addHandler(heard)
    logged = served(monkeypatch, run, config, lambda _url: heard.said.wait(20))
    log.removeHandler(heard)
    (told,) = (line for line in logged.splitlines() if "circuit open" in line and "account=default" in line)
    assert advice in told
    assert "canary" not in logged
