"""The text of one task's samples, made once by the read that changed them, and only as far as it did.

The lines are those that prometheus_client would write, in both formats; only HELP and TYPE differ between the two.
"""

from collections.abc import Sequence

from prometheus_client.utils import floatToGoString

from exporter.metrics.family import Family, TaskFamily
from exporter.model.task_state import TaskState


def render(known: TaskState, families: Sequence[TaskFamily]) -> tuple[bytes, ...]:
    """One text per family, empty where it has no sample; all from the same state of the same target."""
    target = [_escaped(value) for value in known.target.id]
    return tuple([_text(row, known, target) for row in families])


def render_changed(known: TaskState, before: TaskState, families: Sequence[TaskFamily]) -> dict[int, bytes]:
    """The texts that are not what they were `before`, by the number of their family."""
    differs = {sees: sees(known) != sees(before) for sees in {row.sees for row in families}}
    target = [_escaped(value) for value in known.target.id]
    return {number: _text(row, known, target) for number, row in enumerate(families) if differs[row.sees]}


def heading(family: Family, *, openmetrics: bool) -> bytes:
    """HELP and TYPE; OpenMetrics names a counter without the `_total` of its samples."""
    name = family.name.removesuffix("_total") if openmetrics else family.name
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n".encode()


def _text(row: TaskFamily, known: TaskState, target: Sequence[str]) -> bytes:
    lines = [row.line.format(*target, *map(_escaped, values), _number(value)) for values, value in row.samples(known)]
    # A lone surrogate has no UTF-8 form; one label of one target must not cost the others their scrape.
    return "".join(lines).encode(errors="replace")


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # untyped in the library
    return text
