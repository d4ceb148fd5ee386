"""What is lived through once and looked at by many tests: an exporter as a process, and all that goes wrong for it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults import weather as weathers
from tests.faults.weather import Weather


@pytest.fixture(scope="session")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weather]:
    """A day of bad weather, seen from its end."""
    with ExitStack() as stack:
        yield weathers.live_through(stack, tmp_path_factory.mktemp("weather"))
