"""`python -m dashboards.source`: write dashboards/grafana/*.json."""

import json
from pathlib import Path

from dashboards.source import exporter, fleet, task
from dashboards.source.fields import Json

FOLDER = Path(__file__).parent.parent / "grafana"
DASHBOARDS = {"fleet": fleet.DASHBOARD, "task": task.DASHBOARD, "exporter": exporter.DASHBOARD}


def text(document: Json) -> str:
    """A document as its file holds it: a change of one panel is a small difference."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    for name, document in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(text(document), encoding="utf-8")


if __name__ == "__main__":
    main()
