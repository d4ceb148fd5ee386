"""The bundled Grafana dashboards, one after the other."""

import json
from pathlib import Path
from typing import Any

import pytest

FILES = sorted((Path(__file__).parent.parent.parent / "dashboards" / "grafana").glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def dashboard_file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def dashboard(dashboard_file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(dashboard_file.read_text())
    return document


@pytest.fixture
def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture
def everyone() -> dict[str, dict[str, Any]]:
    documents = [json.loads(path.read_text()) for path in FILES]
    return {document["uid"]: document for document in documents}
