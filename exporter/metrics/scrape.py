"""One scrape: the small registry's text by prometheus_client, then every task's text as the reads left it."""

from collections.abc import Collection, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.metrics.negotiate import Format
from exporter.metrics.render import heading
from exporter.metrics.series_cache import SeriesCache

OPENMETRICS_END = b"# EOF\n"


class Exposition:
    """Everything `/metrics` serves. It never calls the API and never waits for a read."""

    def __init__(self, registry: CollectorRegistry, board: SeriesCache) -> None:
        self._registry = registry
        self._board = board

    def scrape(self, fmt: Format, names: Collection[str] = (), *, per_task: bool = True) -> bytes:
        """The whole text. `names` (sample names, as `name[]` has them) restricts it; empty means everything."""
        return b"".join(self.pieces(fmt, names, per_task=per_task))

    def pieces(self, fmt: Format, names: Collection[str] = (), *, per_task: bool = True) -> list[bytes]:
        """The same in pieces, as they lie there: nothing is copied, so that it takes no memory but the list's."""
        openmetrics = fmt is Format.OPENMETRICS
        wanted = frozenset(filter(None, names))
        pieces = [self._registry_text(wanted, openmetrics=openmetrics)]
        if per_task:
            pieces += self._task_texts(wanted, openmetrics=openmetrics)
        if openmetrics:
            pieces.append(OPENMETRICS_END)
        return pieces

    def _registry_text(self, wanted: Collection[str], *, openmetrics: bool) -> bytes:
        registry = self._registry.restricted_registry(wanted) if wanted else self._registry
        if openmetrics:
            text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]  # untyped in the library
            return text.removesuffix(OPENMETRICS_END)
        return generate_latest(registry)

    def _task_texts(self, wanted: Collection[str], *, openmetrics: bool) -> Iterator[bytes]:
        families, columns = self._board.columns()
        for row, column in zip(families, columns, strict=True):
            if not wanted or (row.family.name in wanted and any(column)):
                yield heading(row.family, openmetrics=openmetrics)
                yield from column
