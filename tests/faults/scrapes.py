"""What a scrape said, to be asked by name and labels."""

import re
from dataclasses import dataclass
from functools import cached_property

SAMPLE = re.compile(r"([a-z_0-9]+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

Labels = dict[str, str]


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics, asked for at `at` and there at `until` (Unix seconds)."""

    at: float
    until: float
    text: str

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[Labels, float]]]:
        found: dict[str, list[tuple[Labels, float]]] = {}
        for line in self.text.splitlines():
            if sample := SAMPLE.fullmatch(line):
                name, labels, value = sample.groups()
                found.setdefault(name, []).append((dict(LABEL.findall(labels or "")), float(value)))
        return found

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return set(self._by_name)

    def samples(self, name: str, **labels: str) -> list[tuple[Labels, float]]:
        """The samples of that name that have these labels, among others."""
        return [sample for sample in self._by_name.get(name, ()) if labels.items() <= sample[0].items()]

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """The same by the value of one label."""
        return {of[label]: value for of, value in self.samples(name, **labels)}

    def value(self, name: str, **labels: str) -> float | None:
        """Of the only one of its kind; None when it is absent."""
        values = [value for _, value in self.samples(name, **labels)]
        assert len(values) < 2, f"{name} {labels} is ambiguous"
        return values[0] if values else None

    def total(self, name: str, **labels: str) -> float:
        """The sum of all of them."""
        return sum(value for _, value in self.samples(name, **labels))
