"""Every query of the runbooks, asked of a real Prometheus that has loaded the rules."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.real.conftest import Running, free_port, wait_until
from tests.rules.bundle import BLOCK, PAGES, RULE_FILES

pytestmark = pytest.mark.real

QUERIES = [
    pytest.param(query, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, query in enumerate(BLOCK.findall(page.read_text()), 1)
]


@pytest.fixture(scope="module")
def prometheus(
    prometheus_bin: Path,
    start_process: Callable[[list[str], Path, str], Running],
    tmp_path_factory: pytest.TempPathFactory,
) -> Running:
    """One that scrapes nothing, and evaluates the bundled rules."""
    directory, address = tmp_path_factory.mktemp("prometheus"), f"127.0.0.1:{free_port()}"
    (directory / "prometheus.yml").write_text(yaml.safe_dump({"rule_files": [str(file) for file in RULE_FILES]}))
    command = [str(prometheus_bin), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    running = start_process([*command, f"--web.listen-address={address}"], directory, f"http://{address}")
    wait_until(lambda: running.answers("/-/ready"), "Prometheus is ready")
    return running


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_accepted(prometheus: Running, query: str) -> None:
    """As it stands, its places not filled."""
    answer = prometheus.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
