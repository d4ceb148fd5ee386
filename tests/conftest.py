"""What holds for all tests: hypothesis judges results, never how fast a loaded machine was."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from exporter.logs import configure_structlog

pytest_plugins = ["tests.support.postgresql", "tests.support.certificates", "tests.support.simulated_exporter"]

settings.register_profile(
    "tests", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tests")
configure_structlog()


REAL = frozenset({"browser", "faults", "real"})
"""Folders of tests with real processes, which wait more than they work: `make test` runs them last, four at a time."""

SLOW = REAL | {"bundle", "canary", "dashboards", "docs", "life", "rules", "service", "simulator", "store", "web"}
"""Folders of tests with real time, servers or promtool, which `make quick` leaves to `make test`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark both, and let the slow ones begin first, so that no long file is left for the end."""
    for item in items:
        folders = set(item.path.relative_to(Path(__file__).parent).parts)
        if REAL & folders:
            item.add_marker(pytest.mark.real)
        if SLOW & folders:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: (item.get_closest_marker("no_cover") is None, item.get_closest_marker("slow") is None))


@pytest.fixture
def no_collection() -> Iterator[None]:
    """For documents nested to the end of the stack: no other test's garbage is finalized down there, without room."""
    gc.disable()
    yield
    gc.enable()
