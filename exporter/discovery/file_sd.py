"""One element of `file_sd_configs`: each file it matches is a document of its own, with its own last good version."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.config.discovery import FileSdConfig
from exporter.config.files import FileFault, fault_of, read_text
from exporter.discovery.feed import LARGEST_DOCUMENT, Refreshed, SDSource, SDSourceError
from exporter.discovery.folder import Trace, covers, matching, shown, trace_of
from exporter.discovery.groups import Listing, one_list, read_groups
from exporter.discovery.sd_form import READER_OF_SUFFIX
from exporter.enums import Source

EMPTY = Listing(Source.FILE)


@dataclass(frozen=True, slots=True)
class _Document:
    """One file: its last good list, the version last parsed, and what is wrong with that one, if anything.

    `trace` is None when there is none that was read to its end.
    """

    listing: Listing = EMPTY
    trace: Trace | None = None
    fault: str = ""


class FileSource:
    """A Feed of files. `read` gives a file's text, of at most so many bytes, or raises FileFault."""

    source = Source.FILE

    def __init__(self, config: FileSdConfig, place: str, read: Callable[[Path, int], str] = read_text) -> None:
        self.config = config
        self.place = place
        self.refresh_interval = config.refresh_interval
        self.listing = EMPTY
        self.tried = False
        self._read = read
        self._documents: dict[Path, _Document] = {}

    def refresh(self) -> Refreshed:
        """Find the files anew, and parse those that changed. A file that is gone takes its targets with it."""
        documents, faults = self._look()
        faults += [f"{shown(path)} {document.fault}" for path, document in documents.items() if document.fault]
        self.tried = True
        return Refreshed(self._adopt(documents), len(faults), _told(faults))

    def inherit(self, previous: Iterable[SDSource]) -> None:
        """Take over the files that the patterns still name."""
        known: dict[Path, _Document] = {}
        for feed in previous:
            if isinstance(feed, FileSource):
                known.update(feed._documents)  # noqa: SLF001 - of its own kind
                self.tried = self.tried or (feed.tried and feed.config == self.config)
        wanted = {path: known[path] for path in known if any(covers(pattern, path) for pattern in self.config.files)}
        self._adopt(wanted)

    def close(self) -> None:
        """Nothing is kept open."""

    def _look(self) -> tuple[dict[Path, _Document], list[str]]:
        """The documents there are now, and the patterns whose folder cannot be looked into."""
        documents: dict[Path, _Document] = {}
        faults: list[str] = []
        for pattern in self.config.files:
            try:
                found = matching(pattern)
            except OSError as error:
                faults.append(f"{shown(pattern.parent)} {fault_of(error)}")
                documents.update(self._known_by(pattern))
                continue
            for path in found:
                documents[path] = documents.get(path) or self._renewed(path)
        return documents, faults

    def _known_by(self, pattern: Path) -> dict[Path, _Document]:
        return {path: replace(known, fault="") for path, known in self._documents.items() if covers(pattern, path)}

    def _renewed(self, path: Path) -> _Document:
        known = self._documents.get(path, _Document())
        trace = None
        try:
            trace = trace_of(path)
            if trace == known.trace:
                return known
            groups = READER_OF_SUFFIX[path.suffix.lower()](self._read(path, LARGEST_DOCUMENT))
        except FileFault as fault:
            return replace(known, trace=None, fault=str(fault))
        except SDSourceError as fault:
            return replace(known, trace=trace, fault=str(fault))
        return _Document(read_groups(Source.FILE, groups), trace)

    def _adopt(self, documents: dict[Path, _Document]) -> bool:
        """Put these in force; whether the list is another one now."""
        before, self._documents = self._documents, documents
        if _listings(before) == _listings(documents):
            return False
        parts = ((f"{self.place} ({shown(path)})", document.listing) for path, document in documents.items())
        self.listing, old = one_list(Source.FILE, parts), self.listing
        return self.listing != old


def _listings(documents: dict[Path, _Document]) -> list[tuple[Path, Listing]]:
    return [(path, document.listing) for path, document in documents.items()]


def _told(faults: list[str]) -> str:
    more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{faults[0]}{more}" if faults else ""
