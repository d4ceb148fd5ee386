"""`metrics`: the metric reference as Markdown, made from the tables of families; docs/metrics.md is its output."""

from collections.abc import Iterable, Iterator

import click

from exporter.cli.options import command, example
from exporter.metrics.families import Family, Group, task_families
from exporter.metrics.fleet import FLEET
from exporter.metrics.self_metrics import EXPORTER
from exporter.model.problem import PROBLEMS

INTRODUCTION = """\
# Metrics

Made by `webcast-exporter metrics` from the tables in exporter/metrics; `make docs` writes it anew.

Times are Unix seconds, durations seconds. `webcast_task_*` is per task and nothing else, so that one relabelling rule
can drop it whole; `/metrics?collect[]=fleet` leaves it out. Counters exist at zero for every known label value from
the moment their app's first target is accepted. The counters and histograms of the fleet go on over restarts.
"""


@command(epilog=example("metrics > docs/metrics.md"))
def metrics() -> None:
    """Print the metric reference as Markdown."""
    click.echo(reference(), nl=False)


def reference() -> str:
    """The whole document."""
    task_rows = ((row.family, row.group) for row in task_families(Group))
    lines = [
        INTRODUCTION,
        *_section("Per task", "Group", task_rows),
        *_section("Fleet", "", ((family, "") for family in FLEET)),
        *_section("API, polling, targets, the exporter itself", "", ((family, "") for family in EXPORTER)),
        *_problems(),
        "Besides these: `process_*` and `python_*` of the Prometheus client library.",
    ]
    return "\n".join(lines) + "\n"


def _section(title: str, column: str, rows: Iterable[tuple[Family, str]]) -> Iterator[str]:
    yield f"## {title}\n"
    heads = ["Name", "Type", "Labels", "Meaning", *filter(None, [column])]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for family, extra in rows:
        labels = " ".join(f"`{label}`" for label in family.labels)
        cells = [f"`{family.name}`", family.kind, labels, _meaning(family), *filter(None, [extra])]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _problems() -> Iterator[str]:
    yield "## Problems\n"
    yield (
        "The values of the label `problem`. Keys in the text are those of the section\n"
        "[problems](configuration.md#problems). A class is the time between a target's expected start and end.\n"
        "Failed reads, stale data and restarts neither raise nor end a problem, but for `stale` and `read_failing`.\n"
    )
    yield "| Problem | Severity | Holds while |"
    yield "| --- | --- | --- |"
    for row in PROBLEMS:
        yield f"| `{row.problem}` | {row.severity} | {row.help} |"
    yield ""


def _meaning(family: Family) -> str:
    buckets = f" Buckets: {' '.join(f'{bound:g}' for bound in family.buckets)}." if family.buckets else ""
    return f"{family.help}{buckets}"
