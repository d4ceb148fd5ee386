"""The command line in this process: a runner without the machine's credentials, and an API to ask."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from exporter.cli.group import main
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings
from exporter.simulator.server import Simulation, SimulationOptions
from tests.support.credentials import account_of

Run = Callable[..., Result]


@dataclass
class Api:
    """The simulated API, and configuration files for it."""

    simulation: Simulation
    folder: Path

    def account(self, **changes: Any) -> dict[str, Any]:
        """An element of `accounts` whose key is good."""
        return account_of(self.simulation, **changes)

    def config(self, *accounts: dict[str, Any], **sections: Any) -> str:
        """The name of a written configuration file."""
        file = self.folder / "webcast-exporter.yml"
        state = {"url": f"sqlite:///{self.folder}/state.db"}
        document = {"accounts": list(accounts or [self.account()]), "state": state, **sections}
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(document))
        return str(file)

    def task(self, name: str = "Task", *, ended: bool = False) -> TargetId:
        """A task that has run for a minute, or ended half a minute ago."""
        target = TargetId("app", "Room", name)
        settings = TaskSettings(
            source_url="https://classroom.example.com/live?token=canary", freeze_check=5, max_running_time=3600
        )
        ends = 30.0 if ended else None
        plan = RunPlan(settings, ends=ends, ending=Ending.STOPPED_BY_API)
        self.simulation.fleet.begin(target, plan, age=60)
        return target


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine that runs the tests is seen by the commands."""
    for name in ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", "VOLC_SESSION_TOKEN", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def run() -> Run:
    """`run("check", "--config.file", file)`: the result, with `stdout` and `stderr` apart; never a traceback."""

    def invoke(*arguments: str, env: dict[str, str] | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        yield Api(simulation, tmp_path)


@contextmanager
def another_thread(work: Callable[[], None]) -> Iterator[None]:
    """Have `work` done meanwhile; what it raises is raised at the end."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - carried over to the test's own thread
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join()
    for error in errors:
        raise error


@pytest.fixture
def meanwhile() -> Callable[[Callable[[], None]], Any]:
    """A context in which another thread does the work that is given."""
    return another_thread
