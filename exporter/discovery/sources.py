"""The sources of targets that the configuration names, and their refreshes."""

from collections.abc import Iterator
from threading import Lock

import structlog

from exporter.config.schema import Config
from exporter.discovery.file_sd import FileSource
from exporter.discovery.http_sd import HttpSource
from exporter.discovery.sd_format import Listing, Refreshed, SDSource, static_listing

log = structlog.stdlib.get_logger(__name__)


class Sources:
    """The static list, and a source for each element of the other sections. Any thread may call it.

    Nothing is fetched before the first `refresh`. They begin with what those of the `previous` configuration had
    learnt, which go on until they are closed.
    """

    def __init__(self, config: Config, previous: "Sources | None" = None) -> None:
        self._static = static_listing(config)
        sources: tuple[SDSource, ...] = (
            *(FileSource(section, f"file_sd_configs[{index}]") for index, section in enumerate(config.file_sd_configs)),
            *(HttpSource(section, f"http_sd_configs[{index}]") for index, section in enumerate(config.http_sd_configs)),
        )
        self._sources = {source.place: source for source in sources}
        self._locks = {place: Lock() for place in self._sources}
        self.logged: dict[str, str] = {}
        """The problem of each source that the log names, by place; empty when it has none."""
        self._closed = False
        if previous is not None:
            for source in sources:
                source.inherit(previous)
                same = [old.place for old in previous if old.config == source.config]
                self.logged[source.place] = previous.logged.get(same[0], "") if same else ""

    def __iter__(self) -> Iterator[SDSource]:
        """The sources that are to be refreshed, each at its `refresh_interval`."""
        return iter(self._sources.values())

    def listings(self) -> list[Listing]:
        """The latest list of each source."""
        return [self._static, *(source.listing for source in self)]

    @property
    def tried_all(self) -> bool:
        """Whether every source has been tried once."""
        return all(source.tried for source in self)

    @property
    def answered_all(self) -> bool:
        """Whether every source has answered at least once, so that what none lists is listed nowhere."""
        return all(source.answered for source in self)

    def refresh(self, place: str) -> Refreshed:
        """Fetch one list anew. A failure is logged when it begins or becomes another one, and when it is over."""
        source = self._sources[place]
        with self._locks[place]:
            done = Refreshed(changed=False) if self._closed else source.refresh()
            if self._closed:
                return Refreshed(done.changed)  # what failed now was broken off
            self._log_problem(place, done.problem)
            return done

    def close(self) -> None:
        """Refresh nothing more, and break off what is under way."""
        self._closed = True
        for source in self:
            source.close()

    def _log_problem(self, place: str, problem: str) -> None:
        if problem == self.logged.get(place, ""):
            return
        self.logged[place] = problem
        if problem:
            log.warning("source failed", source=place, error=problem)
        else:
            log.info("source recovered", source=place)
