"""`simulate` with faults and TLS."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from exporter.cli.group import main
from exporter.service.signals import SignalAction, Signals
from exporter.simulator.faults import FaultMode
from exporter.simulator.server import Simulation, SimulationOptions

Run = Callable[..., Result]


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


@pytest.fixture
def run() -> Run:
    """`run("--fault", "stall")`."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["simulate", "--listen", "127.0.0.1:0", "--tasks", "1", *arguments])

    return invoke


def test_it_begins_with_a_fault(run: Run, simulations: list[Simulation]) -> None:
    """It is in force from the first call on, and said."""
    result = run("--fault", "cut_json")
    assert result.exit_code == 0, result.output
    assert simulations[0].faults.mode is FaultMode.CUT_JSON
    assert "/fault (POST ?mode=MODE; now: cut_json)" in result.stdout


def test_tls_tells_what_to_trust(run: Run, simulations: list[Simulation]) -> None:
    """The certificate is made on the spot and is gone with it."""
    result = run("--tls", "--fault", "unknown_ca")
    assert result.exit_code == 0, result.output
    certificates = simulations[0].options.certificates
    assert certificates is not None
    assert f"  its ca_file  {certificates.authority}\n" in result.stdout
    assert "answers on https://127.0.0.1:" in result.stdout
    assert not certificates.authority.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("--fault", "nonsense"), "'nonsense' is no fault"), (("--fault", "no_tls"), "no_tls needs --tls")],
)
def test_what_cannot_be(run: Run, simulations: list[Simulation], arguments: tuple[str, ...], sentence: str) -> None:
    """Bad usage."""
    result = run(*arguments)
    assert (result.exit_code, simulations) == (2, [])
    assert sentence in result.stderr


def test_the_help_lists_every_fault(run: Run) -> None:
    """With what it does, each on a line."""
    help_text = run("--help").stdout
    assert [mode for mode in FaultMode if f"  {mode.value} " not in help_text or mode.says not in help_text] == []
