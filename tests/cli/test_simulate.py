"""`simulate` with callbacks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from exporter.service.signals import SignalAction, Signals
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions

Run = Callable[..., Result]
SIMULATE = ("simulate", "--listen", "127.0.0.1:0", "--tasks", "1")
URL = "http://127.0.0.1:9/callback"


@pytest.fixture
def scenes(monkeypatch: pytest.MonkeyPatch) -> list[SimulationOptions]:
    """What was simulated; the command ends as soon as it waits."""
    made: list[SimulationOptions] = []

    def simulation(scene: SimulationOptions) -> Simulation:
        made.append(scene)
        return Simulation(scene)

    monkeypatch.setattr("exporter.cli.simulate.Simulation", simulation)
    monkeypatch.setattr(Signals, "wait", lambda _self, _seconds=None: SignalAction.STOP)
    return made


def test_callbacks_are_told(run: Run, scenes: list[SimulationOptions]) -> None:
    """Where they go and what signs them is said; some come twice or late, and none is lost."""
    result = run(*SIMULATE, "--callback.url", URL)
    assert result.exit_code == 0
    assert f"  callbacks to {URL}\n  their secret {CALLBACK_SECRET}\n" in result.stdout
    (scene,) = scenes
    manner = scene.delivery
    assert (manner.lost, 0 < manner.doubled < 0.1, 0 < manner.delayed < 0.1) == (0, True, True)


def test_a_secret_of_ones_own(run: Run, scenes: list[SimulationOptions], tmp_path: Path) -> None:
    """The first line of the file signs, and is not shown."""
    file = tmp_path / "secrets"
    file.write_text("\n first-secret \nsecond-secret\n")
    result = run(*SIMULATE, "--callback.url", URL, "--callback.secret-file", str(file))
    assert "  their secret the one in the file\n" in result.stdout
    assert [scene.callback_secret for scene in scenes] == ["first-secret"]
    assert "first-secret" not in result.output


def test_without_a_url_nothing_is_called_back(run: Run, scenes: list[SimulationOptions]) -> None:
    """Nothing is said of callbacks either."""
    result = run(*SIMULATE)
    assert (
        result.exit_code,
        [scene.callback_url for scene in scenes],
        "callback" in result.stdout,
    ) == (0, [""], False)


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
