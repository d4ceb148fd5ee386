"""`check`: the configuration, the web config file, the API and captured callbacks."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from exporter.cli.check import NO_SUCH_APP, NO_SUCH_ROOM
from exporter.cli.get import COLOURS
from exporter.cli.group import main
from exporter.enums import Status
from exporter.errors import Rejected
from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import SimulatedAccount
from exporter.simulator.lifecycle import CallbackEvent, RunPlan, callback_payload
from exporter.simulator.server import CREDENTIALS, Simulation, SimulationOptions
from exporter.volcengine.callbacks import event_signature
from tests.support.certificates import HASH

if TYPE_CHECKING:
    from exporter.simulator.server import Certificates
    from tests.cli.conftest import Api


Run = Callable[..., Result]

GOOD = "key, signature, clock and right are good"


def test_a_good_file(run: Run, api: "Api") -> None:
    """Exit 0 and how many accounts and targets there are; no call is made."""
    config = api.config(static_configs=[{"targets": ["a/b/c", "a/b/d"]}])
    result = run("check", "--config.file", config)
    assert (result.exit_code, result.stdout) == (0, f"{config}: good, 1 account, 2 targets\n")
    assert sum(api.simulation.calls.counts.values()) == 0


def test_warnings(run: Run, api: "Api") -> None:
    """What can be served but was hardly meant is told, each on a line, and is no failure."""
    account = api.account(max_qps=70, app_ids=["a"])
    result = run(
        "check", "--config.file", api.config(account, static_configs=[{"targets": ["a/b/c", "a/b/c", "x/y/z"]}])
    )
    assert result.exit_code == 0
    told = [line for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert [sentence for _, sentence in (line.split(": ", 1) for line in told)] == [
        "accounts[0].max_qps: is more than the 60 calls a second that the vendor allows one account",
        "static_configs[0].targets[1]: a/b/c is in this list already",
        "x/y/z is read by no account: its app is in no app_ids",
    ]


def test_every_problem_of_every_file_of_targets_is_listed(run: Run, api: "Api") -> None:
    """Each bad label by its name, each bad target, and each file that is none."""
    labels = "{a-b: x, 2nd: y, __expected_start__: 8:30}"
    good = "- targets: [a/b/c, a/b]\n  labels: {team: 7}\n"
    (api.folder / "a.yml").write_text(f"{good}- targets: [x/y/z]\n  labels: {labels}\n")
    (api.folder / "b.yml").write_text("targets: [a/b/c]")
    (api.folder / "c.json").write_text("[{]")
    result = run("check", "--config.file", api.config(file_sd_configs=[{"files": ["*.yml", "c.json"]}]))
    assert result.exit_code == 0
    for place in ("[0].targets[1]: ", "[1].labels.a-b: ", "[1].labels.2nd: ", "[1].labels.__expected_start__: "):
        assert f"a.yml){place}" in result.stdout
    assert f"{api.folder}/b.yml must be a list of groups" in result.stdout
    assert f"{api.folder}/c.json is not JSON at line 1" in result.stdout
    assert "good, 1 account, 1 target\n" in result.stdout


@pytest.mark.parametrize("order", [("--probe", "--config.file"), ("--config.file", "--probe")])
def test_probe_for_a_task_that_cannot_exist(run: Run, api: "Api", order: tuple[str, str]) -> None:
    """One call per account; not found means that all is well, and it says so. The options stand in any order."""
    config = api.config(static_configs=[{"targets": ["a/b/c"]}])
    arguments = [part for flag in order for part in ([flag, config] if flag == "--config.file" else [flag])]
    result = run("check", *arguments)
    assert result.exit_code == 0
    assert result.stdout.endswith(f"account default: not found, as it should be; {GOOD}\n")
    assert [call.target.app_id for call in api.simulation.calls.log] == ["a"]


def test_probe_for_a_task(run: Run, api: "Api") -> None:
    task = api.task()
    result = run("check", "--config.file", api.config(), "--probe", str(task))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(f"account default: app/Room/Task is running; {GOOD}\n")


def test_a_probe_that_reads_a_task_that_cannot_exist_fails(run: Run, api: "Api") -> None:
    """An API that describes any task would make every removed task a live one for ever."""
    room = NO_SUCH_ROOM
    api.simulation.fleet.begin(TargetId(NO_SUCH_APP, room, room), RunPlan(), age=60)
    result = run("check", "--config.file", api.config(), "--probe")
    assert result.exit_code == 1
    assert "account default: the API describes a task that cannot exist" in result.stderr


def test_probe_for_a_task_that_is_not_there(run: Run, api: "Api") -> None:
    """Asked for by name, not found is exit 1, and yet the key is good."""
    result = run("check", "--config.file", api.config(), "--probe", "app/Room/Nothing")
    assert result.exit_code == 1
    unknown = "account default: app/Room/Nothing is not known, or started over 72 hours ago"
    assert result.stderr == f"{unknown}\n  if room and task are swapped, it is app/Nothing/Room\n  {GOOD}\n"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"secret_access_key": "canary"}, "auth: the API does not accept the signature; is it the secret"),
        ({"access_key_id": "AKLTnobody"}, "auth: the API does not accept the access key"),
        ({"session_token": "canary"}, "auth: the API does not accept the session token; has it expired?"),
        ({"endpoint": "http://127.0.0.1:9"}, "connect: "),
    ],
)
@pytest.mark.parametrize("probe", [(), ("app/Room/Task",)])
def test_a_probe_that_fails(
    run: Run, api: "Api", changes: dict[str, str], sentence: str, probe: tuple[str, ...]
) -> None:
    """Exit 1 and a sentence that helps, on standard error, without a secret."""
    result = run("check", "--config.file", api.config(api.account(**changes)), "--probe", *probe)
    assert result.exit_code == 1
    assert f"account default: {sentence}" in result.stderr
    assert "canary" not in result.output


def test_probe_when_the_api_fails(run: Run, api: "Api") -> None:
    api.simulation.faults.mode = FaultMode.SERVER_ERROR
    result = run("check", "--config.file", api.config(), "--probe")
    assert (result.exit_code, "account default: server: " in result.stderr) == (1, True)


def test_probe_of_several_accounts(run: Run, api: "Api") -> None:
    """Each is asked once for an app of its own; one that fails makes it exit 1, and all are told."""
    second = SimulatedAccount("second", (Credentials("AKLTsecond", "another secret"),), frozenset({"b"}))
    scene = SimulationOptions(tasks=0, accounts=(SimulatedAccount("first", (CREDENTIALS,), frozenset({"a"})), second))
    with Simulation(scene) as simulation:
        api.simulation = simulation
        good = api.account(name="first", app_ids=["a"])
        other = api.account(
            name="second", app_ids=["b"], access_key_id="AKLTsecond", secret_access_key="another secret"
        )
        result = run("check", "--probe", "--config.file", api.config(good, other))
        assert result.exit_code == 0
        assert [line.split(":")[0] for line in result.stdout.splitlines()[1:]] == ["account first", "account second"]
        assert [call.account for call in simulation.calls.log] == ["first", "second"]

        result = run("check", "--probe", "--config.file", api.config(good, other | {"secret_access_key": "wrong"}))
        assert result.exit_code == 1
        assert f"account first: not found, as it should be; {GOOD}" in result.stdout
        assert "account second: auth: " in result.stderr

        calls = len(simulation.calls.log)
        result = run("check", "--config.file", api.config(good, other), "--probe", "b/Room/Nothing")
        assert [call.account for call in simulation.calls.log[calls:]] == ["second"]

        result = run("check", "--config.file", api.config(good | {"app_ids": ["b"]}), "--probe")
        assert result.exit_code == 1
        assert "auth: the app belongs to another account" in result.stderr


def test_probe_for_an_app_of_no_account(run: Run, api: "Api") -> None:
    """There is no account to ask: a bad configuration for this question, and no call."""
    config = api.config(api.account(app_ids=["a"]))
    result = run("check", "--config.file", config, "--probe", "x/y/z")
    assert (result.exit_code, result.stderr) == (
        2,
        "webcast-exporter: accounts: none has the app x in its app_ids\n",
    )
    assert sum(api.simulation.calls.counts.values()) == 0


def reading(target: TargetId, outcome: object) -> ReadResult:
    return ReadResult(target, at=1.0, server_time=1.0, elapsed=0.1, outcome=outcome)  # type: ignore[arg-type]  # as given


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("InvalidParameter.IllegalAppId", 0), ("InvalidActionOrVersion", 1), ("", 1)],
)
def test_a_made_up_app_may_be_rejected(
    run: Run, api: "Api", monkeypatch: pytest.MonkeyPatch, code: str, exit_code: int
) -> None:
    """Without any app to ask for, a refusal of the made-up one by the product shows that key and signature are good."""

    def refused(_account: object, target: TargetId, *_: object) -> ReadResult:
        return reading(target, Rejected("the API rejects the request", code=code))

    monkeypatch.setattr("exporter.cli.check.read_once", refused)
    result = run("check", "--config.file", api.config(), "--probe")
    assert result.exit_code == exit_code
    assert ("key and signature are good; name an app in app_ids" in result.stdout) is (exit_code == 0)


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    file = folder / "web.yml"
    file.touch(mode)
    file.chmod(mode)
    file.write_text(text)
    return str(file)


def test_a_good_web_config_file(run: Run, api: "Api", certificates: "Certificates") -> None:
    """Both are told to be good; the certificate has been loaded."""
    pair = f"cert_file: {certificates.trusted}, key_file: {certificates.trusted}"
    config = api.config()
    web = written(api.folder, f"tls_server_config: {{{pair}}}\nbasic_auth_users: {{alice: {HASH}}}")
    result = run("check", "--config.file", config, "--web.config.file", web)
    assert (result.exit_code, result.stdout) == (0, f"{config}: good, 1 account, 0 targets\n{web}: good\n")
    result = run("check", "--config.file", config, "--web.config.file", "")
    assert (result.exit_code, result.stdout) == (0, f"{config}: good, 1 account, 0 targets\n")


def test_a_bad_file(run: Run, api: "Api", certificates: "Certificates") -> None:
    """Exit 2 with all that is wrong, a certificate that is not the key's too; nothing is told to be good."""
    pair = f"cert_file: {certificates.trusted}, key_file: {certificates.stranger}"
    web = written(api.folder, f"tls_server_config: {{{pair}}}")
    result = run("check", "--config.file", api.config(), "--web.config.file", web)
    told = f"webcast-exporter: {web}: tls_server_config.key_file: the file is not the key of the certificate\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", told)


def test_both_bad(run: Run, api: "Api") -> None:
    web = written(api.folder, "basic_auth_users: {alice: secret}")
    result = run("check", "--config.file", api.config(pollng={}), "--web.config.file", web)
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["pollng", web]


def test_a_file_that_everybody_can_read(run: Run, api: "Api") -> None:
    """It is warned of when there are hashes in it."""
    web = written(api.folder, f"basic_auth_users: {{alice: {HASH}}}", 0o644)
    result = run("check", "--config.file", api.config(), "--web.config.file", web)
    assert result.exit_code == 0
    assert f"warning: {web}: its mode 0644 lets every user of this machine read the file" in result.stdout


Check = Callable[..., Result]

APP = "661e0000000000000000543c"
SECRET = "canary-in-the-callback-secret"
KEYS = "AppId, BusinessId, RoomId, Status, TaskId"


def room_event(age: float = 0.0) -> bytes:
    """A captured room event, `age` seconds old."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age))
    data = json.dumps({"RoomId": "Room1", "UserId": "webcast_1"})
    values = {"EventType": "UserLeaveRoom", "EventData": data, "EventTime": at, "AppId": APP}
    return json.dumps({**values, "Signature": event_signature(values.values(), SECRET)}).encode()


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


@pytest.mark.parametrize(("age", "more"), [(0.0, []), (86_400.0, ["it is not of now; sent now it would be stale"])])
def test_a_room_event(check: Check, age: float, more: list[str]) -> None:
    """It is good, and what it does is said."""
    result = check(room_event(age))
    assert (result.exit_code, result.stderr) == (0, "")
    expected = ["the signature fits", "counts nothing; the live tasks of its room and user are read at once", *more]
    assert [line.partition(" (max_age")[0] for line in lines(result)[1:]] == expected


def test_undocumented_values(check: Check) -> None:
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
        (room_event(), {"app_ids": ["another"]}, f"ignored: app {APP} is in no account's app_ids"),
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


ESCAPE = "\x1b["


@pytest.mark.parametrize(
    ("terminal", "environ", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)]
)
@pytest.mark.parametrize("command", ["get", "check"])
def test_colours_are_for_a_terminal(api: "Api", command: str, *, terminal: bool, environ: str, coloured: bool) -> None:
    """Nothing that is piped has an escape in it, nor a terminal whose user wants none."""
    task = api.task()
    arguments = {
        "get": ("get", *task, "--config.file", api.config()),
        "check": ("check", "--config.file", api.config(), "--probe", str(task)),
    }
    result = CliRunner().invoke(main, arguments[command], color=terminal, env={"NO_COLOR": environ})
    assert result.exit_code == 0
    assert (ESCAPE in result.output) is coloured


def test_every_status_has_a_colour() -> None:
    """A failed one is red."""
    assert COLOURS.keys() == set(Status)
    assert COLOURS[Status.FAILED] == "red"
