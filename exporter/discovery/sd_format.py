"""Prometheus's service discovery format: groups of targets with labels, read from YAML, JSON or the configuration."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from sys import getsizeof
from typing import ClassVar

from exporter.config.documents import MAX_PROBLEMS, MAX_VALUES, parse_yaml, step
from exporter.config.fields import label_name, own_labels
from exporter.config.schema import Config, FileSdConfig, HttpSdConfig, label_value
from exporter.config.times import expected_times
from exporter.enums import Rejection, Source
from exporter.errors import ConfigError, Problem
from exporter.model.target import TargetId

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""Bytes; 30,000 targets are some 2 MiB."""


MAX_TEXT_BYTES = 32 * 1024 * 1024
"""Of memory for the text of a document: one character beyond the usual ones makes all of them four bytes wide."""
MAX_TARGETS = 100_000
"""Of one list, and of all lists together."""
MAX_LABELS = 1_000
"""Of one group."""
MAX_LABEL = 4_096
"""Characters of a label's name, and of its value."""
MAX_LABEL_BYTES = 32 * 1024 * 1024
"""Of all targets of one list, and of all lists: each target has its group's labels, in the state and in answers."""


class SDSourceError(Exception):
    """A list cannot be had or used; the message says why, and is safe to log."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The result of one refresh.

    `changed` says whether the listing is another one now; `failures` how many documents could not be had, each keeping
    its last good list; `problem` is a sentence about them, empty when there are none.
    """

    changed: bool
    failures: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets that share labels: one element of Prometheus's SD form, its values as the document has them."""

    targets: Sequence[object]
    labels: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """What one list says of one target: labels without `__*`, expected times in Unix seconds."""

    labels: Mapping[str, str]
    expected_start: float | None = None
    expected_end: float | None = None


@dataclass(frozen=True, slots=True)
class RejectedEntry:
    """Something of a list that is not accepted, with its place and a sentence; `targets` that are lost by it."""

    reason: Rejection
    problem: Problem
    targets: int = 1


@dataclass(frozen=True, slots=True)
class Listing:
    """One list. A source may have several (one for each of its configurations)."""

    source: Source
    targets: Mapping[TargetId, TargetEntry] = field(default_factory=dict)
    rejected: tuple[RejectedEntry, ...] = ()


class _Rejections:
    """What is not accepted of one list: MAX_PROBLEMS entries, and for the others how many there are."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._entries: list[RejectedEntry] = []
        self._more: Counter[Rejection] = Counter()

    def add(self, reason: Rejection, place: str, sentence: str, targets: int = 1) -> None:
        """Keep one entry, or count it."""
        if len(self._entries) < MAX_PROBLEMS:
            self._entries.append(RejectedEntry(reason, Problem(place, sentence), targets))
        else:
            self._more[reason] += targets

    def all(self) -> tuple[RejectedEntry, ...]:
        """Return what is kept, and an entry for the others of each reason."""
        more = (
            RejectedEntry(reason, Problem(self._place, f"{number:,} more targets are not accepted: {reason}"), number)
            for reason, number in self._more.items()
            if number
        )
        return (*self._entries, *more)


def bytes_of_labels(labels: Mapping[str, str]) -> int:
    """What labels take in memory at most: one character beyond ASCII can make all of its text four bytes wide."""
    return sum(len(text) if text.isascii() else 4 * len(text) for text in (*labels, *labels.values()))


def read_groups(source: Source, groups: Iterable[TargetGroup], place: str = "") -> Listing:
    """Read one list. One bad target costs that target, bad labels cost their group; the first of two equal ones stays.

    `place` is where the list stands (`static_configs`), for the problems' paths.
    """
    targets: dict[TargetId, TargetEntry] = {}
    rejections = _Rejections(place)
    label_bytes = 0
    for index, group in enumerate(groups):
        where = f"{place}[{index}]"
        entry, problems = _shared(group.labels, f"{where}.labels")
        if entry is not None:
            size = len(group.targets) * bytes_of_labels(entry.labels)
            if label_bytes + size <= MAX_LABEL_BYTES:
                label_bytes += size
            else:
                sentence = f"are more than {MAX_LABEL_BYTES:,} bytes over all targets of this list"
                entry, problems = None, [Problem(f"{where}.labels", sentence)]
        for position, problem in enumerate(problems):
            rejections.add(Rejection.INVALID, problem.path, problem.sentence, 0 if position else len(group.targets))
        for number, name in enumerate(group.targets):
            _add(targets, rejections, f"{where}.targets[{number}]", name, entry)
    return Listing(source, targets, rejections.all())


def _add(
    targets: dict[TargetId, TargetEntry], rejections: _Rejections, place: str, name: object, entry: TargetEntry | None
) -> None:
    """Add one target; without an entry its group is lost already, and only what is wrong with its name is kept."""
    try:
        target = TargetId.parse(name)
    except ValueError as error:
        rejections.add(Rejection.INVALID, place, str(error), 0 if entry is None else 1)
        return
    if entry is None:
        return
    if target in targets:
        rejections.add(Rejection.DUPLICATE, place, f"{target} is in this list already")
    elif len(targets) >= MAX_TARGETS:
        rejections.add(Rejection.INVALID, place, f"{target} is beyond the {MAX_TARGETS:,} targets of one list")
    else:
        targets[target] = entry


def one_list(source: Source, documents: Iterable[tuple[str, Listing]]) -> Listing:
    """Several documents as one list: of two equal targets the first stays, each further one is a duplicate.

    A document comes with its place (`file_sd_configs[0] (a.yml)`), which goes before its problems' paths.
    """
    targets: dict[TargetId, TargetEntry] = {}
    rejected: list[RejectedEntry] = []
    for place, listing in documents:
        for each in listing.rejected:
            problem = Problem(place + each.problem.path, each.problem.sentence)
            rejected.append(replace(each, problem=problem))
        duplicates = _Rejections(place)
        for target, listed in listing.targets.items():
            if target in targets:
                duplicates.add(Rejection.DUPLICATE, place, f"{target} is in this list already")
            else:
                targets[target] = listed
        rejected += duplicates.all()
    return Listing(source, targets, tuple(rejected))


def _shared(labels: Mapping[str, object], place: str) -> tuple[TargetEntry | None, list[Problem]]:
    """Return what the group's labels say of each of its targets, or everything that is wrong with them."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    if len(labels) > MAX_LABELS:
        return None, [Problem(place, f"are more than {MAX_LABELS:,} labels")]
    for name, value in labels.items():
        try:
            texts[label_name(name)] = _label_text(name, value)
        except ValueError as error:
            problems.append(Problem(step(place, name), str(error)))
    if not problems:
        try:
            start, end = expected_times(texts)
            return TargetEntry(own_labels(texts), start, end), []
        except ValueError as error:
            problems.append(Problem(place, str(error)))
    return None, problems


def _label_text(name: str, value: object) -> str:
    """Return a label's text. JSON can write half a character (a lone surrogate), which no page could show."""
    text = label_value(name, str(value).lower() if isinstance(value, bool) else value)
    if max(len(name), len(text)) > MAX_LABEL:
        raise ValueError(f"has more than {MAX_LABEL:,} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be whole characters of Unicode") from None
    return text


KEYS = ("targets", "labels")


def groups_of_yaml(text: str) -> list[TargetGroup]:
    """The groups of a YAML document, none when it is empty or null; SDSourceError when it is no such list."""
    _check_size(text)
    try:
        document, repeated = parse_yaml(text)
    except ConfigError as error:
        raise SDSourceError(_joined(error.problems)) from None
    if repeated:
        raise SDSourceError(_joined(repeated))
    return _groups(document, str)


def groups_of_json(text: str) -> list[TargetGroup]:
    """Return the groups of a JSON document, none when it is null; SDSourceError when it is no such list.

    As Go reads it: keys in any case, null for nothing. Numbers stay the text that is written.
    """
    _check_size(text)
    if sum(map(text.count, ",[{")) > MAX_VALUES:
        raise SDSourceError(f"has more than {MAX_VALUES:,} values")
    try:
        document = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise SDSourceError(f"is not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise SDSourceError("is not JSON that can be read: it is nested too deep") from None
    return _groups(document, str.lower)


def _joined(problems: Iterable[Problem]) -> str:
    return "; ".join(map(str, problems)).removeprefix("the file ")


def _check_size(text: str) -> None:
    if getsizeof(text) > MAX_TEXT_BYTES:
        raise SDSourceError(f"takes more than {MAX_TEXT_BYTES:,} bytes of memory")


READER_OF_SUFFIX: Mapping[str, Callable[[str], list[TargetGroup]]] = {
    ".yml": groups_of_yaml,
    ".yaml": groups_of_yaml,
    ".json": groups_of_json,
}


def _groups(document: object, spelled: Callable[[str], str]) -> list[TargetGroup]:
    if document is None:
        return []
    if not isinstance(document, list):
        raise SDSourceError("must be a list of groups, each with targets and labels")
    return [_group(raw, f"[{index}]", spelled) for index, raw in enumerate(document)]


def _group(raw: object, place: str, spelled: Callable[[str], str]) -> TargetGroup:
    if not isinstance(raw, dict):
        raise SDSourceError(f"{place} must be a mapping with targets and labels")
    unknown = next((key for key in raw if spelled(key) not in KEYS), None)
    if unknown is not None:
        raise SDSourceError(f"{step(place, unknown)} is not a known key: a group has targets and labels")
    group = {spelled(key): value for key, value in raw.items()}
    targets, labels = group.get("targets"), group.get("labels")
    if not isinstance(targets, list | None):
        raise SDSourceError(f"{place}.targets must be a list")
    if not isinstance(labels, dict | None):
        raise SDSourceError(f"{place}.labels must be a mapping of names and values")
    return TargetGroup(targets or [], labels or {})


STATIC_CONFIGS = "static_configs"


def static_listing(config: Config) -> Listing:
    """`static_configs` as one list: a target that stands in two groups is a duplicate."""
    groups = (TargetGroup([str(target) for target in group.targets], group.labels) for group in config.static_configs)
    return read_groups(Source.STATIC, groups, STATIC_CONFIGS)


class SDSource(ABC):
    """One element of `file_sd_configs` or `http_sd_configs` at work. One thread at a time refreshes, any may read.

    `place` is where the element stands (`http_sd_configs[1]`), `listing` the last good list, empty before there was
    one. `tried` says whether there was a refresh yet, good or bad; `answered` whether all of it could be had once.
    """

    source: ClassVar[Source]

    def __init__(self, config: FileSdConfig | HttpSdConfig, place: str) -> None:
        self.config = config
        self.place = place
        self.refresh_interval = config.refresh_interval
        self.listing = Listing(self.source)
        self.tried = False
        self.answered = False

    @abstractmethod
    def refresh(self) -> Refreshed:
        """Look again; raises nothing for what the disk, the network or the other side does."""

    @abstractmethod
    def inherit(self, previous: Iterable["SDSource"]) -> None:
        """Begin with what the sources of the configuration before had learnt, as far as it is the same list."""

    @abstractmethod
    def close(self) -> None:
        """End what is in flight."""
