import difflib
import re
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, enable_created_metrics

NOW = 1_700_000_000.0
PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    """An empty registry, without `_created` series as the composition root has it."""
    disable_created_metrics()
    yield CollectorRegistry(auto_describe=True)
    enable_created_metrics()


def _normal(text: str) -> list[str]:
    """Lines in an order of their own, labels sorted, values as floats: what two equal expositions share."""
    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            lines.append(line)
        elif line.strip():
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            pairs = ",".join(f'{label}="{text}"' for label, text in sorted(PAIR.findall(labels)))
            lines.append(f"{name}{{{pairs}}} {float(value)}")
    return sorted(lines)


@pytest.fixture
def difference() -> Callable[[str, str], str]:
    """The difference of two expositions, empty when they say the same (after kube-state-metrics' way to compare)."""

    def told(expected: str, actual: str) -> str:
        lines = difflib.unified_diff(_normal(expected), _normal(actual), "expected", "actual", lineterm="", n=0)
        return "\n".join(lines)

    return told
