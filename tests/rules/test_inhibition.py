"""What one alert has another one not say, asked of a real Alertmanager with the bundled configuration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.conftest import Running, free_port, wait_until
from tests.rules.bundle import ALERTMANAGER
from tests.rules.scene import APP, of_exporter, of_task, task
from tests.rules.tape import Alert
from tests.support import web_client

pytestmark = pytest.mark.real

Pair = tuple[Alert, Alert]
A, B, ELSEWHERE = task("A"), task("B"), task("A", "661e0000000000000000543d")
ACCOUNT = {"account": "default"}
MANY = of_exporter("WebCastManyRunsFailed", "critical", **ACCOUNT, app_id=APP)
FAILED = of_task("WebCastTaskFailed", A, "critical")
DARK = of_task("WebCastClassDark", A, "critical")
MOVED = of_task("WebCastPageRescheduledRepeatedly", A, "critical")
REFUSED = of_exporter("WebCastCredentialsRefused", "critical", **ACCOUNT)
DOWN = of_exporter("WebCastExporterDown", "critical", **ACCOUNT)
API_DOWN = of_exporter("WebCastApiDown", "critical", **ACCOUNT)
APP_REFUSED = of_exporter("WebCastAppRefused", "critical", **ACCOUNT, app_id=APP)
STALE = of_exporter("WebCastDataStale", "critical", **ACCOUNT, app_id=APP)
ERRORS = of_exporter("WebCastApiErrors", "warning", **ACCOUNT, reason="server")
SILENT = of_exporter("WebCastStateSilent", "critical", instance="a:10960")
STUCK = of_exporter("WebCastExporterStuck", "warning", instance="a:10960", job_name="housekeeping")

INHIBITED: dict[str, Pair] = {
    "many failures, one of them": (MANY, FAILED),
    "many failures, one that does not start": (MANY, of_task("WebCastClassDark", B, "critical")),
    "dark, will be cut": (DARK, of_task("WebCastClassWillBeCut", A, "warning")),
    "dark, failed": (DARK, FAILED),
    "dark, not started": (DARK, of_task("WebCastTaskNotStarted", A, "critical")),
    "dark, unknown": (DARK, of_task("WebCastTaskStatusUnknown", A, "warning")),
    "dark, page in trouble": (DARK, MOVED),
    "moved, refreshed": (MOVED, of_task("WebCastPageRefreshedRepeatedly", A, "warning")),
    "refused, stale": (REFUSED, STALE),
    "exporter down, stale": (DOWN, STALE),
    "API down, its errors": (API_DOWN, ERRORS),
    "API down, stale": (API_DOWN, STALE),
    "app refused, stale": (APP_REFUSED, STALE),
    "state silent, its jobs": (SILENT, STUCK),
    "state not written, its jobs": (of_exporter("WebCastStateNotWritten", "critical", instance="a:10960"), STUCK),
}
NOT_INHIBITED: dict[str, Pair] = {
    "many failures, in another app": (MANY, of_task("WebCastTaskFailed", ELSEWHERE, "critical")),
    "many failures, an overrun": (MANY, of_task("WebCastClassOverrun", B, "warning")),
    "dark, another one failed": (DARK, of_task("WebCastTaskFailed", B, "critical")),
    "refused, another account": (REFUSED, of_exporter("WebCastDataStale", "critical", account="other", app_id=APP)),
    "app refused, another app": (
        APP_REFUSED,
        of_exporter("WebCastDataStale", "critical", **ACCOUNT, app_id=ELSEWHERE.app_id),
    ),
    "API down, a class": (API_DOWN, DARK),
    "state silent, another instance": (
        SILENT,
        of_exporter("WebCastExporterStuck", "warning", instance="b:10960", job_name="lease"),
    ),
}


@pytest.fixture(scope="module")
def alertmanager(
    alertmanager_bin: Path,
    start_process: Callable[[list[str], Path, str], Running],
    tmp_path_factory: pytest.TempPathFactory,
) -> Running:
    """The bundled configuration in force; its receivers exist nowhere, and nothing is sent within a test."""
    address = f"127.0.0.1:{free_port()}"
    command = [str(alertmanager_bin), f"--config.file={ALERTMANAGER / 'alertmanager.yml'}", "--storage.path=data"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    running = start_process(command, tmp_path_factory.mktemp("alertmanager"), f"http://{address}")
    wait_until(lambda: running.answers("/-/ready"), "Alertmanager is ready")
    return running


def inhibited(alertmanager: Running, pair: Pair, scope: str) -> set[str]:
    """Fire both, under labels that no other pair has; the names of those that are inhibited."""
    told = [
        {"labels": {"alertname": alert.name, **alert.labels, "scope": scope}, "annotations": {"summary": alert.name}}
        for alert in pair
    ]
    web_client.post(f"{alertmanager.url}/api/v2/alerts", json=told).raise_for_status()
    wait_until(lambda: len(_shown(alertmanager, scope)) == len(pair), "both alerts are there")
    return {alert["labels"]["alertname"] for alert in _shown(alertmanager, scope) if alert["status"]["inhibitedBy"]}


def resolve(alertmanager: Running, scope: str) -> None:
    """End what was fired, so that the next pair is alone."""
    over = [
        {"labels": alert["labels"], "endsAt": "2020-01-01T00:00:00Z", "startsAt": "2019-01-01T00:00:00Z"}
        for alert in _shown(alertmanager, scope)
    ]
    web_client.post(f"{alertmanager.url}/api/v2/alerts", json=over).raise_for_status()
    wait_until(lambda: not _shown(alertmanager, scope), "both alerts are over")


def _shown(alertmanager: Running, scope: str) -> list[dict[str, dict[str, str]]]:
    shown: list[dict[str, dict[str, str]]] = alertmanager.get(
        "/api/v2/alerts", params={"filter": f'scope="{scope}"'}
    ).json()
    return shown


@pytest.mark.parametrize("case", INHIBITED)
def test_the_cause_is_told_alone(alertmanager: Running, case: str) -> None:
    """The first one inhibits the second, and is not inhibited itself."""
    assert inhibited(alertmanager, INHIBITED[case], case) == {INHIBITED[case][1].name}
    resolve(alertmanager, case)


@pytest.mark.parametrize("case", NOT_INHIBITED)
def test_what_has_another_cause_is_told(alertmanager: Running, case: str) -> None:
    """Neither inhibits the other."""
    assert inhibited(alertmanager, NOT_INHIBITED[case], case) == set()
    resolve(alertmanager, case)
