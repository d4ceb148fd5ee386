"""Every command that is given a secret, and what it said."""

from click.testing import CliRunner

from exporter.cli.group import COMMANDS, main
from exporter.simulator.lifecycle import callback_payload
from tests.canary import given
from tests.canary.visit import CONFIG, EVENT, WEB, Visit

WITHOUT = frozenset({"dashboards", "demo", "metrics", "simulate", "serve", "version"})
"""They know none; `serve` is what is visited."""


def calls(visit: Visit) -> dict[str, list[list[str]]]:
    """The arguments of each command, one list a run."""
    config = ["--config.file", str(visit.folder / CONFIG)]
    body = visit.folder / "body.json"
    body.write_bytes(callback_payload(EVENT, given.CALLBACK_SECRET, "4821"))
    url = visit.running.url.replace("//", f"//alice:{given.PASSWORD}@")
    checks = [["--web.config.file", str(visit.folder / WEB)], ["--probe"], ["--callback", str(body)]]
    tasks = [[f"app-{name}", "Room", "Task0"] for name in ("well", *given.FAULTS)]
    return {
        "check": [config + each for each in checks],
        "get": [[*task, *config] for task in tasks]
        + [[*tasks[0], *config, "--output", output] for output in ("json", "metrics")],
        "plan": [config],
        "explain": [[*tasks[0], "--url", named] for named in (url, visit.running.url)],
        "runs": [["--url", url], ["--url", visit.running.url], config],
    }


def asks(visit: Visit) -> dict[str, str]:
    """What a command needs in its environment to be let in."""
    return {
        "WEBCAST_EXPORTER_USER": given.ALICE[0],
        "WEBCAST_EXPORTER_PASSWORD": given.ALICE[1],
        "REQUESTS_CA_BUNDLE": str(visit.certificates.authority),
    }


def run_all(visit: Visit, *, good: bool) -> None:
    """Run them over files that are good or bad; what they say is kept, and each does what it should."""
    for command, runs in calls(visit).items():
        for arguments in runs if command in COMMANDS else ():
            env = asks(visit) if "--url" in arguments else {}
            result = CliRunner().invoke(main, [command, *arguments], env=env)
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
            key = f"{command} {len(visit.answers)}"
            visit.answers[key] = f"{result.exit_code} {result.output}"
            assert good or "--config.file" not in arguments or result.exit_code == 2, visit.answers[key]
            assert visit.running.url not in arguments or result.exit_code == 0, visit.answers[key]
