"""The bundled dashboards' queries, asked of a real Prometheus that scrapes the demo."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.real.conftest import Prometheus, Running, StartPrometheus

pytestmark = pytest.mark.real

FILES = sorted((Path(__file__).parent.parent.parent / "dashboards" / "grafana").glob("*.json"))
RIGHTLY_EMPTY: set[str] = set()
"""Titles of panels for which the demo has no data; each needs a scene of its own elsewhere."""
INTERVALS = {"$__rate_interval": "15s", "$__range": "60s"}
ALL = ".*"


@pytest.fixture(scope="module")
def prometheus(
    start_process: Callable[[list[str], Path, str], "Running"],
    start_prometheus: "StartPrometheus",
    unused_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
    wait: Callable[..., None],
) -> "Prometheus":
    """A Prometheus whose scrapes of the demo are old enough for rates, and have seen runs start, fail and end."""
    directory = tmp_path_factory.mktemp("dashboards")
    address = f"127.0.0.1:{unused_port()}"
    command = [sys.executable, "-m", "exporter", "demo", "--web.listen-address", address]
    demo = start_process(command, directory / "demo", f"http://{address}")
    wait(lambda: demo.answers("/-/ready"), "the demo is ready")
    scrape = {"job_name": "webcast", "static_configs": [{"targets": [address]}]}
    prometheus = start_prometheus(directory / "prometheus", [scrape])
    happened = "sum by (status) (increase(webcast_run_duration_seconds_count[15s])) > 0"
    wait(lambda: {("ended",), ("failed",)} == prometheus.query(happened, "status").keys(), "runs ended and failed", 60)
    return prometheus


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard's document."""
    document: dict[str, Any] = json.loads(request.param.read_text())
    return document


def filled(expression: str, variables: dict[str, str]) -> str:
    """The expression as Grafana would send it."""
    for name, value in {**INTERVALS, **{f"${name}": value for name, value in variables.items()}}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def choices(prometheus: "Prometheus", dashboard: dict[str, Any]) -> dict[str, list[str]]:
    """What each query variable offers, the ones above it at All; names to sorted values."""
    offered = {}
    everything = dict.fromkeys((each["name"] for each in dashboard["templating"]["list"]), ALL)
    for variable in dashboard["templating"]["list"]:
        if asked := re.fullmatch(
            r"label_values\((.+), (\w+)\)", variable["query"]["query"] if variable["type"] == "query" else ""
        ):
            selector, label = asked.groups()
            offered[variable["name"]] = sorted(
                values[0] for values in prometheus.query(f"group by ({label}) ({filled(selector, everything)})", label)
            )
    return offered


def empty_panels(prometheus: "Prometheus", dashboard: dict[str, Any], variables: dict[str, str]) -> set[str]:
    """Titles of the panels of which a query has no result; a query that is refused fails the test."""
    return {
        panel["title"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        if not prometheus.query(filled(target["expr"], variables))
    }


def test_every_variable_offers_values(prometheus: "Prometheus", dashboard: dict[str, Any]) -> None:
    """Each variable's query finds what there is: one job, one exporter, the demo's apps and its account."""
    offered = choices(prometheus, dashboard)
    assert [name for name, values in offered.items() if not values] == []
    assert (offered["job"], offered["account"]) == (["webcast"], ["demo"])


@pytest.mark.parametrize("chosen", ["all", "first"])
def test_every_panel_has_data(
    prometheus: "Prometheus", dashboard: dict[str, Any], wait: Callable[..., None], chosen: str
) -> None:
    """Every query is valid and returns data, with all variables at All and with the first value of each."""
    offered = choices(prometheus, dashboard)
    variables = {name: ALL if chosen == "all" else values[0] for name, values in offered.items()}
    wait(
        lambda: empty_panels(prometheus, dashboard, variables) == RIGHTLY_EMPTY,
        f"data in every panel but {RIGHTLY_EMPTY}",
        40,
    )
