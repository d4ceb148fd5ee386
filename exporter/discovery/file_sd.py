"""file_sd_configs: each matching file is a document of its own, with its own last good list."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from exporter.config.documents import MAX_PROBLEMS, FileFault, Fingerprint, fault_of, fingerprint, read_text
from exporter.config.schema import GLOB, FileSdConfig
from exporter.discovery.sd_format import (
    MAX_DOCUMENT_BYTES,
    READER_OF_SUFFIX,
    Listing,
    Refreshed,
    SDSource,
    SDSourceError,
    one_list,
    read_groups,
)
from exporter.enums import Source

ABSENT = (FileNotFoundError, NotADirectoryError)


def covers(pattern: Path, path: Path) -> bool:
    """Whether the pattern names this path."""
    if not GLOB.search(pattern.name):
        return pattern == path
    return pattern.parent == path.parent and fnmatchcase(path.name, pattern.name.replace("[^", "[!"))


def matching(pattern: Path) -> list[Path]:
    """The paths that the pattern names now, in order; none where there is no folder. OSError when one cannot look."""
    try:
        if GLOB.search(pattern.name):
            return [path for path in sorted(pattern.parent.iterdir()) if covers(pattern, path)]
        pattern.lstat()
    except ABSENT:
        return []
    return [pattern]


def shown(path: Path) -> str:
    """The path as a log may hold it: a file's name can hold a line break."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


@dataclass(frozen=True, slots=True)
class _Document:
    """One file: its last good list, the version last parsed, and what is wrong with that one, if anything.

    `fingerprint` is None when there is none that was read to its end.
    """

    listing: Listing
    fingerprint: Fingerprint = None
    fault: str = ""


class FileSource(SDSource):
    """A source that reads files. `read` gives a file's text, of at most so many bytes, or raises FileFault."""

    source = Source.FILE
    config: FileSdConfig

    def __init__(self, config: FileSdConfig, place: str, read: Callable[[Path, int], str] = read_text) -> None:
        super().__init__(config, place)
        self._read = read
        self.documents: dict[Path, _Document] = {}
        """The last good list of each file."""

    def refresh(self) -> Refreshed:
        """Find the files anew, and parse those that changed. A file that is gone takes its targets with it."""
        documents, faults = self._read_documents()
        faults += [f"{shown(path)} {document.fault}" for path, document in documents.items() if document.fault]
        self.tried = True
        self.answered = self.answered or not faults
        return Refreshed(self._adopt(documents), len(faults), _joined(faults))

    def inherit(self, previous: Iterable[SDSource]) -> None:
        """Take over the files that the patterns still name."""
        documents: dict[Path, _Document] = {}
        for source in previous:
            if isinstance(source, FileSource):
                documents.update(source.documents)
                if source.config == self.config:
                    self.tried, self.answered = self.tried or source.tried, self.answered or source.answered
        wanted = {
            path: each
            for path, each in documents.items()
            if any(covers(pattern, path) for pattern in self.config.files)
        }
        self._adopt(wanted)

    def close(self) -> None:
        """Nothing is kept open."""

    def _read_documents(self) -> tuple[dict[Path, _Document], list[str]]:
        """The documents there are now, and the patterns whose folder cannot be looked into."""
        documents: dict[Path, _Document] = {}
        faults: list[str] = []
        for pattern in self.config.files:
            try:
                found = matching(pattern)
            except OSError as error:
                faults.append(f"{shown(pattern.parent)} {fault_of(error)}")
                documents.update(self._last_good(pattern))
                continue
            for path in found:
                documents[path] = documents.get(path) or self._read_document(path)
        return documents, faults

    def _last_good(self, pattern: Path) -> dict[Path, _Document]:
        return {path: replace(each, fault="") for path, each in self.documents.items() if covers(pattern, path)}

    def _read_document(self, path: Path) -> _Document:
        before = self.documents.get(path) or _Document(Listing(Source.FILE))
        now = fingerprint(path)
        if now is not None and now == before.fingerprint:
            return before
        try:
            groups = READER_OF_SUFFIX[path.suffix.lower()](self._read(path, MAX_DOCUMENT_BYTES))
        except FileFault as fault:
            return replace(before, fingerprint=None, fault=str(fault))
        except SDSourceError as fault:
            return replace(before, fingerprint=now, fault=str(fault))
        return _Document(read_groups(Source.FILE, groups), now)

    def _adopt(self, documents: dict[Path, _Document]) -> bool:
        """Put these in force; whether the list is another one now."""
        before, self.documents = self.documents, documents
        if _listings(before) == _listings(documents):
            return False
        parts = ((f"{self.place} ({shown(path)})", document.listing) for path, document in documents.items())
        self.listing, old = one_list(Source.FILE, parts), self.listing
        return self.listing != old


def _listings(documents: dict[Path, _Document]) -> list[tuple[Path, Listing]]:
    return [(path, document.listing) for path, document in documents.items()]


def _joined(faults: list[str]) -> str:
    more = [f"and {len(faults) - MAX_PROBLEMS} more"] if len(faults) > MAX_PROBLEMS else []
    return "; ".join([*faults[:MAX_PROBLEMS], *more])
