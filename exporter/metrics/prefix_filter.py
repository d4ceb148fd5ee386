"""A part of a registry's families."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class PrefixFilter(Collector):
    """Those whose names begin with one of the prefixes."""

    def __init__(self, registry: CollectorRegistry, prefixes: tuple[str, ...]) -> None:
        self._registry = registry
        self._prefixes = prefixes

    def describe(self) -> Iterator[Metric]:
        """The same: they can be asked for by name."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """As the registry has them now."""
        return (metric for metric in self._registry.collect() if metric.name.startswith(self._prefixes))
