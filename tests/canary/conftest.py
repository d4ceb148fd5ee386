"""Two exporters that are visited once and looked at by all tests: one in bad weather, and one that is broken inside."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.canary import broken, commands, given, visit
from tests.canary.visit import Visit
from tests.real.conftest import wait_until


@pytest.fixture(scope="session")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """In bad weather, at debug, asked for everything, its commands run, its files spoilt, and stopped."""
    with ExitStack() as stack:
        seen = visit.start_visit(stack, tmp_path_factory.mktemp("canary"), "-m", "exporter")
        wait_until(lambda: visit.reasons(seen) >= given.REASONS, "all that can fail does")
        visit.knock(seen)
        visit.look(seen)
        commands.run_all(seen, good=True)
        visit.spoil(seen)
        commands.run_all(seen, good=False)
        visit.look(seen)
        assert seen.running.end() == 0
        yield seen


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """With unexpected errors wherever secrets are at hand, and a crash at its end."""
    with ExitStack() as stack:
        seen = visit.start_visit(stack, tmp_path_factory.mktemp("crash"), str(Path(broken.__file__)))
        visit.knock(seen)
        visit.look(seen)
        assert seen.running.end() == 1
        yield seen
