"""What every list that must be fetched again and again has in common."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from exporter.config.fields import Section
from exporter.discovery.groups import Listing
from exporter.enums import Source

LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes; 30,000 targets are some 2 MiB."""


class SDSourceError(Exception):
    """A list cannot be had or used; the message says why, and is safe to log."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of one refresh.

    `changed` says whether the listing is another one now; `failures` how many documents could not be had, each keeping
    its last good list; `problem` is a sentence about them, empty when there are none.
    """

    changed: bool
    failures: int = 0
    problem: str = ""


class SDSource(Protocol):
    """One element of `file_sd_configs` or `http_sd_configs` at work. One thread at a time refreshes, any may read."""

    @property
    def config(self) -> Section:
        """The element of the configuration that it serves."""
        ...

    @property
    def source(self) -> Source:
        """What its targets count under."""
        ...

    @property
    def place(self) -> str:
        """Where the element stands, `http_sd_configs[1]`."""
        ...

    @property
    def refresh_interval(self) -> float:
        """Seconds from one refresh to the next."""
        ...

    @property
    def listing(self) -> Listing:
        """The last good list, empty before there was one."""
        ...

    @property
    def tried(self) -> bool:
        """Whether there was a refresh yet, good or bad."""
        ...

    def refresh(self) -> Refreshed:
        """Look again; raises nothing for what the disk, the network or the other side does."""
        ...

    def inherit(self, previous: Iterable["SDSource"]) -> None:
        """Begin with what the feeds of the configuration before had learnt, as far as it is the same list."""
        ...

    def close(self) -> None:
        """Let go of connections, those in use too."""
        ...
