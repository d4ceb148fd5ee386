"""What the web needs of the exporter, and no more."""

from collections.abc import Mapping
from typing import Protocol

from exporter.exposition.board import Place
from exporter.exposition.scrape import Exposition


class House(Protocol):
    """The running exporter as the pages see it."""

    exposition: Exposition

    @property
    def alive(self) -> bool:
        """Whether the dispatcher has moved lately."""
        ...

    @property
    def not_ready(self) -> str:
        """Why it is not ready yet, as a sentence; empty once it is."""
        ...

    def counts(self) -> Mapping[Place, int]:
        """How many tasks count under which labels of `webcast_tasks`."""
        ...

    def reload(self) -> None:
        """Reload the configuration; ConfigError when it is bad and the old one stays."""
        ...
