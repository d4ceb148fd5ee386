"""`simulate`: callbacks, faults, TLS and forms of not found."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from exporter.service.signals import SignalAction, Signals
from exporter.simulator.faults import FaultMode
from exporter.simulator.fleet import Action
from exporter.simulator.replies import NotFoundForm
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions

Run = Callable[..., Result]
SIMULATE = ("simulate", "--listen", "127.0.0.1:0", "--tasks", "1")
URL = "http://127.0.0.1:9/callback"


@pytest.fixture
def simulations(monkeypatch: pytest.MonkeyPatch) -> list[Simulation]:
    """What was simulated; the command ends as soon as it waits."""
    made: list[Simulation] = []

    def simulation(options: SimulationOptions) -> Simulation:
        made.append(Simulation(options))
        return made[-1]

    monkeypatch.setattr("exporter.cli.simulate.Simulation", simulation)
    monkeypatch.setattr(Signals, "wait", lambda _self, _seconds=None: SignalAction.STOP)
    return made


def test_callbacks_are_told(run: Run, simulations: list[Simulation]) -> None:
    """Where they go and what signs them is said; some come twice or late, and none is lost."""
    result = run(*SIMULATE, "--callback.url", URL)
    assert result.exit_code == 0
    assert f"  callbacks to {URL}\n  their secret {CALLBACK_SECRET}\n" in result.stdout
    policy = simulations[0].options.delivery
    assert (policy.lost, 0 < policy.doubled < 0.1, 0 < policy.delayed < 0.1) == (0, True, True)


def test_a_secret_of_ones_own(run: Run, simulations: list[Simulation], tmp_path: Path) -> None:
    """The first line of the file signs, and is not shown."""
    file = tmp_path / "secrets"
    file.write_text("\n first-secret \nsecond-secret\n")
    result = run(*SIMULATE, "--callback.url", URL, "--callback.secret-file", str(file))
    assert "  their secret the one in the file\n" in result.stdout
    assert [simulation.options.callback_secret for simulation in simulations] == ["first-secret"]
    assert "first-secret" not in result.output


def test_without_a_url_nothing_is_called_back(run: Run, simulations: list[Simulation]) -> None:
    result = run(*SIMULATE)
    assert (result.exit_code, simulations[0].options.callback_url) == (0, "")
    assert "callbacks to" not in result.stdout


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--callback.url", "localhost:10960", "'localhost:10960' is no http:// or https:// URL"),
        ("--callback.secret-file", "nowhere", "the file does not exist"),
        ("--callback.secret-file", "/dev/null", "the file is a device, not a file"),
    ],
)
def test_what_cannot_be_called_back(run: Run, option: str, value: str, sentence: str) -> None:
    """A URL that is none, and a file without a secret, are bad usage."""
    result = run(*SIMULATE, option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_it_begins_with_a_fault(run: Run, simulations: list[Simulation]) -> None:
    """It is in force from the first call on, and said."""
    result = run(*SIMULATE, "--fault", "cut_json")
    assert result.exit_code == 0, result.output
    assert simulations[0].faults.mode is FaultMode.CUT_JSON
    assert "/fault (POST ?mode=MODE; now: cut_json)" in result.stdout


def test_tls_tells_what_to_trust(run: Run, simulations: list[Simulation]) -> None:
    """The certificate is made on the spot and is gone with it."""
    result = run(*SIMULATE, "--tls", "--fault", "unknown_ca")
    assert result.exit_code == 0, result.output
    certificates = simulations[0].options.certificates
    assert certificates is not None
    assert f"  its ca_file  {certificates.authority}\n" in result.stdout
    assert "answers on https://127.0.0.1:" in result.stdout
    assert not certificates.authority.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--fault", "nonsense"), "'nonsense' is no fault"),
        (("--fault", "no_tls"), "no_tls needs --tls"),
        (("--not-found", "nonsense"), "'nonsense' is no form of an answer"),
    ],
)
def test_what_cannot_be(run: Run, simulations: list[Simulation], arguments: tuple[str, ...], sentence: str) -> None:
    result = run(*SIMULATE, *arguments)
    assert (result.exit_code, simulations) == (2, [])
    assert sentence in result.stderr


@pytest.mark.parametrize("form", NotFoundForm)
def test_a_missing_task_is_told_as_was_chosen(run: Run, simulations: list[Simulation], form: NotFoundForm) -> None:
    """Each form has a word."""
    assert run(*SIMULATE, "--not-found", form.value).exit_code == 0
    assert simulations[0].gateway.not_found is form


def test_the_addresses_are_told(run: Run, simulations: list[Simulation]) -> None:
    told = run(*SIMULATE).stdout
    url, credentials = simulations[0].url, simulations[0].credentials
    for text in (url, credentials.access_key, credentials.secret_key, f"{url}/targets", f"{url}/truth", f"{url}/fault"):
        assert text in told
    assert f"rehearsal    {url}/ (POST /task/APP/ROOM/TASK?do=fail breaks a task" in told


def test_the_help_lists_every_choice(run: Run) -> None:
    help_text = run("simulate", "--help").stdout
    for choice in (*FaultMode, *NotFoundForm, *Action):
        assert re.search(rf"^ *{choice.value} +{re.escape(choice.says)}$", help_text, re.MULTILINE), choice
