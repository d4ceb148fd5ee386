"""The lists of targets at work: each feed is refreshed at its interval, counted, and taken over when it has changed."""

from collections.abc import Callable
from functools import partial

from exporter.config.schema import Config
from exporter.discovery.sd_format import Listing, SDSource
from exporter.discovery.sources import Sources
from exporter.metrics.self_metrics import SelfMetrics
from exporter.model.clock import Clock
from exporter.scheduler.scheduler import Scheduler


class Discovery:
    """The sources in force. `changed` is called, on a scheduler's thread, after a refresh that brought another list."""

    def __init__(
        self, dispatcher: Scheduler, self_metrics: SelfMetrics, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._dispatcher = dispatcher
        self._instruments = self_metrics
        self._clock = clock
        self._changed = changed
        self._sources = Sources(Config())

    def plan(self, config: Config) -> Sources:
        """The sources that a configuration asks for, with what is known already of the lists that stay the same."""
        return Sources.after(self._sources, config)

    def swap(self, sources: Sources) -> None:
        """Put the sources in force: the old ones' jobs end, the new ones' begin at once."""
        before, self._sources = self._sources, sources
        for feed in before:
            self._dispatcher.cancel(feed.place)
        stay = {(feed.source, feed.place) for feed in sources}
        for gone in {(feed.source, feed.place) for feed in before} - stay:
            self._instruments.close_feed(*gone)
        for feed in sources:
            self._instruments.open_feed(feed.source, feed.place)
            self._dispatcher.every(feed.place, feed.refresh_interval, partial(self._refresh, sources, feed))
        before.close()

    def listings(self) -> list[Listing]:
        """What every list said last."""
        return self._sources.listings()

    @property
    def tried_all(self) -> bool:
        """Whether every source has been tried once."""
        return self._sources.tried_all

    def close(self) -> None:
        """Refresh nothing more, and break off what is under way."""
        self._sources.close()

    def _refresh(self, sources: Sources, feed: SDSource) -> None:
        done = sources.refresh(feed.place)
        if sources is not self._sources:
            return  # a reload came in between
        self._instruments.refreshed(feed.source, feed.place, done.failures, self._clock.unix())
        if done.changed:
            self._changed()
