"""Reading samples out of an exposition."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

Samples = dict[tuple[str, ...], float]


def samples_with(text: str, *names: str) -> Iterator[Sample]:
    """The samples whose names begin so; the client library's parser, which is slow, sees no other lines."""
    lines = [line for line in text.splitlines() if line.startswith(names)]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        yield from family.samples


def samples_named(text: str, name: str) -> Samples:
    """All samples called `name`: the label values, in the order of the label names, to the value."""
    found = [sample for sample in samples_with(text, name) if sample.name == name]
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in found}
