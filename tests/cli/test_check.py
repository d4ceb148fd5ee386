from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from click.testing import Result

from exporter.cli.check import NO_SUCH_APP, NO_SUCH_ROOM
from exporter.errors import Rejected
from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import SimulatedAccount
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.server import CREDENTIALS, Simulation, SimulationOptions

if TYPE_CHECKING:
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
    """A task that is there is told with its status."""
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
    """A failure of the API is told as what it is."""
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
    """There is nobody to ask: a bad configuration for this question, and no call."""
    config = api.config(api.account(app_ids=["a"]))
    result = run("check", "--config.file", config, "--probe", "x/y/z")
    assert (result.exit_code, result.stderr) == (
        2,
        "webcast-exporter: accounts: none has the app x in its app_ids\n",
    )
    assert sum(api.simulation.calls.counts.values()) == 0


def reading(target: TargetId, outcome: object) -> ReadResult:
    """A read that ended so."""
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
