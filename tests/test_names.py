"""The names of metrics in words: what documents and comments say is in the tables of the code."""

import re
from pathlib import Path

import pytest

from tests.rules.promql import recorded, scraped

ROOT = Path(__file__).parent.parent
WRITTEN = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "dashboards/**/*.md", "dashboards/alertmanager/*", "exporter/**/*.py")
    for path in ROOT.glob(pattern)
)
FAMILY = re.compile(r"(?<![\w/.-])webcast_(?:task|run|page|api|poll|target|discovery|callback|exporter)\w*(?![\w(:])")


def unknown(text: str) -> list[str]:
    """Names that no table has; `webcast_task_` and the like stand for all that begin so."""
    known = {*scraped(), *(name for each in recorded() for name in each.split(":"))}
    begun = {each[: end.end()] for each in known for end in re.finditer("(?=_(?:bucket|sum|count)$)|_", each)}
    return [name for name in FAMILY.findall(text) if name not in known | begun]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_metrics_that_are_spoken_of_exist(path: Path) -> None:
    """A name that was changed is changed wherever it is told."""
    assert unknown(path.read_text("utf-8")) == []


def test_every_metric_has_its_line_in_the_reference() -> None:
    """None is kept from the users."""
    told = (ROOT / "docs/metrics.md").read_text()
    families = {re.sub(r"_(?:bucket|count|sum)$", "", name) for name in scraped() if name.startswith("webcast_")}
    assert sorted(name for name in families if f"`{name}`" not in told) == []


def test_a_name_that_does_not_exist_is_found() -> None:
    """The rule itself."""
    assert unknown("webcast_task_status, webcast_task_stati and webcast_run_*") == ["webcast_task_stati"]
