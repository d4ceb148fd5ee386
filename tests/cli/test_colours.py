"""Colours are for a terminal alone."""

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from exporter.cli.get import COLOURS
from exporter.cli.group import main
from exporter.enums import Status

if TYPE_CHECKING:
    from tests.cli.conftest import Api

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
