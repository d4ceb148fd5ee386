"""The text of one task's samples, made once by the read that changed them.

The lines are those that prometheus_client would write, in both formats; only HELP and TYPE differ between the two.
"""

from collections.abc import Iterator, Sequence

from prometheus_client.utils import floatToGoString

from exporter.exposition.family import TARGET_LABELS, Family, TaskFamily
from exporter.model.known import Known

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(known: Known, families: Sequence[TaskFamily]) -> tuple[bytes, ...]:
    """One text per family, empty where it has no sample; all from the same state of the same target."""
    target = label_pairs(TARGET_LABELS, known.target.id)
    return tuple("".join(_lines(row, known, target)).encode() for row in families)


def label_pairs(names: Sequence[str], values: Sequence[str]) -> str:
    """`a="1",b="2"`, with the values escaped."""
    return ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in zip(names, values, strict=True))


def heading(family: Family, *, openmetrics: bool) -> bytes:
    """HELP and TYPE; OpenMetrics names a counter without the `_total` of its samples."""
    name = family.name.removesuffix("_total") if openmetrics else family.name
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n".encode()


def _lines(row: TaskFamily, known: Known, target: str) -> Iterator[str]:
    own = row.family.labels[len(TARGET_LABELS) :]
    for values, number in row.samples(known):
        labels = f"{target},{label_pairs(own, values)}" if own else target
        value = floatToGoString(number)  # type: ignore[no-untyped-call]  # the client library does not say: str
        yield f"{row.family.name}{{{labels}}} {value}\n"
