"""The systemd unit: systemd takes it, it is hardened, and its flags are those of `serve`."""

import configparser
import json
import subprocess
from pathlib import Path

import click

from exporter.cli.group import main
from exporter.cli.serve import serve
from tests.real.conftest import ROOT, real_part

UNIT = ROOT / "deploy" / "systemd" / "webcast-exporter.service"
MAX_EXPOSURE = 20
"""Tenths, as `systemd-analyze security` counts; an unhardened service has 96."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no running systemd for this."""
    return subprocess.run([real_part("systemd-analyze"), *arguments], capture_output=True, text=True, check=False)


def command() -> list[str]:
    """The words of ExecStart."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(UNIT.read_text())
    return parser["Service"]["ExecStart"].split()


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """No key is unknown and no value wrong; the program stands elsewhere on this machine."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(command()[0], str(real_part("true"))))
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_hardened() -> None:
    """Systemd's own score."""
    done = analyze("security", "--offline=true", "--json=short", f"--threshold={MAX_EXPOSURE}", str(UNIT))
    worst = sorted(json.loads(done.stdout or "[]"), key=lambda each: -float(each["exposure"] or 0))[:5]
    assert done.returncode == 0, worst


def test_the_flags_are_those_of_serve() -> None:
    """The command line takes them."""
    _, name, *flags = command()
    assert name == serve.name
    with click.Context(serve, **main.context_settings) as context:
        serve.parse_args(context, flags)
