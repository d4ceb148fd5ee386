"""What `/metrics` serves: which format a scrape asks for, and the text in it."""

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from itertools import chain

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter.metrics.families import TaskFamily
from exporter.metrics.series_cache import SeriesCache, Texts

OPENMETRICS_END = b"# EOF\n"


class Format(StrEnum):
    """The formats served, by their Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_OPENMETRICS_VERSIONS = ("", "0.0.1", "1.0.0")
_FORMATS = {"text/plain": Format.TEXT, "text/*": Format.TEXT, "*/*": Format.TEXT}


class Exposition:
    """The text of a scrape: the registry's by prometheus_client, then every task's as the reads rendered it.

    It never calls the API and never waits for a read.
    """

    def __init__(self, registry: CollectorRegistry, series_cache: SeriesCache) -> None:
        self._registry = registry
        self._series_cache = series_cache

    def scrape(self, fmt: Format, names: Collection[str] = (), *, per_task: bool = True) -> bytes:
        """The whole text. `names` (sample names, as `name[]` has them) restricts it; empty means everything."""
        return b"".join(self.pieces(fmt, names, per_task=per_task))

    def pieces(self, fmt: Format, names: Collection[str] = (), *, per_task: bool = True) -> Iterator[bytes]:
        """Yield the same text as at this moment, family by family, so that only one family is joined at a time."""
        openmetrics, wanted = fmt is Format.OPENMETRICS, frozenset(filter(None, names))
        families, texts = self._series_cache.snapshot() if per_task else ((), [])
        registry = self._registry.restricted_registry(wanted) if wanted else self._registry
        if openmetrics:
            text: bytes = generate_openmetrics(registry)
            text = text.removesuffix(OPENMETRICS_END)
        else:
            text = generate_latest(registry)
        tasks = _joined(families, texts, wanted, openmetrics=openmetrics)
        return chain((text,), tasks, (OPENMETRICS_END,) if openmetrics else ())


def _joined(
    families: Sequence[TaskFamily], texts: Sequence[Texts], wanted: Collection[str], *, openmetrics: bool
) -> Iterator[bytes]:
    columns = zip(*texts, strict=True) if texts else ((),) * len(families)
    for row, column in zip(families, columns, strict=True):
        if wanted and row.family.name not in wanted:
            continue
        text = b"".join(column)
        if text or not wanted:
            yield row.family.heading(openmetrics=openmetrics)
            yield text


class PrefixFilter(Collector):
    """The families of a registry whose names begin with one of the prefixes."""

    def __init__(self, registry: CollectorRegistry, prefixes: tuple[str, ...]) -> None:
        self._registry = registry
        self._prefixes = prefixes

    def collect(self) -> Iterator[Metric]:
        """The families as the registry has them now."""
        return (metric for metric in self._registry.collect() if metric.name.startswith(self._prefixes))


def choose_format(accept: str) -> Format:
    """Return the format that an `Accept` header prefers; the text format if it names neither."""
    best, best_quality = Format.TEXT, 0.0
    for media, parameters, quality in accepted(accept):
        found = _FORMATS.get(media)
        if media == "application/openmetrics-text" and parameters.get("version", "") in _OPENMETRICS_VERSIONS:
            found = Format.OPENMETRICS
        if found is not None and quality > best_quality:
            best, best_quality = found, quality
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header names gzip (or `*`), not with q=0, and not below the plain text."""
    qualities = {coding: quality for coding, _, quality in accepted(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    return gzip > 0.0 and gzip >= qualities.get("identity", 0.0)


def accepted(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Each value of an `Accept*` header in lower case, with its parameters and its quality from 0 to 1."""
    for part in header.split(","):
        value, *rest = part.split(";")
        parameters = {
            name.strip().lower(): text.strip().strip('"') for name, _, text in (field.partition("=") for field in rest)
        }
        if value.strip():
            yield value.strip().lower(), parameters, _quality(parameters.pop("q", "1"))


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
