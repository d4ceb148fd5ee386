"""Prometheus's service discovery format: groups of targets with labels, read from YAML, JSON or the configuration."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exporter.config.document import parse
from exporter.config.fields import Section
from exporter.config.labels import label_name, label_value, own_labels
from exporter.config.paths import step
from exporter.config.schema import Config
from exporter.config.times import expected_times
from exporter.enums import Rejection, Source
from exporter.errors import ConfigError, Problem
from exporter.model.target import TargetId

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
class Rejected:
    """An entry of a list that is no target, with its place and a sentence for a person."""

    reason: Rejection
    problem: Problem


@dataclass(frozen=True, slots=True)
class Listing:
    """One list. A source may have several (one for each of its configurations)."""

    source: Source
    targets: Mapping[TargetId, TargetEntry] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()


def read_groups(source: Source, groups: Iterable[TargetGroup], place: str = "") -> Listing:
    """Read one list. One bad target costs that target, bad labels cost their group; the first of two equal ones stays.

    `place` is where the list stands (`static_configs`), for the problems' paths.
    """
    targets: dict[TargetId, TargetEntry] = {}
    rejected: list[Rejected] = []
    for index, group in enumerate(groups):
        for where, found in _entries(group, f"{place}[{index}]"):
            if isinstance(found, str):
                rejected.append(Rejected(Rejection.INVALID, Problem(where, found)))
            elif found[0] in targets:
                rejected.append(Rejected(Rejection.DUPLICATE, Problem(where, f"{found[0]} is in this list already")))
            else:
                targets[found[0]] = found[1]
    return Listing(source, targets, tuple(rejected))


def one_list(source: Source, documents: Iterable[tuple[str, Listing]]) -> Listing:
    """Several documents as one list: of two equal targets the first stays, each further one is a duplicate.

    A document comes with its place (`file_sd_configs[0] (a.yml)`), which goes before its problems' paths.
    """
    targets: dict[TargetId, TargetEntry] = {}
    rejected: list[Rejected] = []
    for place, listing in documents:
        rejected += [_below(place, entry) for entry in listing.rejected]
        for target, listed in listing.targets.items():
            if target in targets:
                rejected.append(Rejected(Rejection.DUPLICATE, Problem(place, f"{target} is in this list already")))
            else:
                targets[target] = listed
    return Listing(source, targets, tuple(rejected))


def _below(place: str, entry: Rejected) -> Rejected:
    return Rejected(entry.reason, Problem(place + entry.problem.path, entry.problem.sentence))


def _entries(group: TargetGroup, place: str) -> Iterator[tuple[str, tuple[TargetId, TargetEntry] | str]]:
    """Each entry's place, with the target or the sentence that says why it is none."""
    shared = _shared(group.labels)
    for index, name in enumerate(group.targets):
        where = f"{place}.targets[{index}]"
        if isinstance(shared, str):
            yield where, shared
            continue
        try:
            yield where, (_target(name), shared)
        except ValueError as error:
            yield where, str(error)


def _target(name: object) -> TargetId:
    if not isinstance(name, str):
        raise ValueError("must be APP_ID/ROOM_ID/TASK_ID")  # noqa: TRY004 - a sentence like the other ones
    return TargetId.parse(name)


def _shared(labels: Mapping[str, object]) -> TargetEntry | str:
    """What the group's labels say of each of its targets, or the sentence that says what is wrong with them."""
    try:
        texts = {label_name(name): _text(name, value) for name, value in labels.items()}
        start, end = expected_times(texts)
    except ValueError as error:
        return f"labels: {error}"
    return TargetEntry(own_labels(texts), start, end)


def _text(name: str, value: object) -> str:
    """A label's text. JSON can write half a character (a lone surrogate), which no page could show."""
    try:
        text = label_value(name, value)
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be whole characters of Unicode") from None
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    return text


KEYS = ("targets", "labels")


def groups_of_yaml(text: str) -> list[TargetGroup]:
    """The groups of a YAML document, none when it is empty or null; FeedFault when it is no such list."""
    try:
        document, repeated = parse(text)
    except ConfigError as error:
        raise SDSourceError(str(error.problems[0]).removeprefix("the file ")) from None
    if repeated:
        raise SDSourceError(str(repeated[0]))
    return _groups(document)


def groups_of_json(text: str) -> list[TargetGroup]:
    """The groups of a JSON document, none when it is null (Go's empty list); FeedFault when it is no such list."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SDSourceError(f"is not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError:
        raise SDSourceError("is not JSON that can be read: a number in it is too long") from None
    except RecursionError:
        raise SDSourceError("is not JSON that can be read: it is nested too deep") from None
    return _groups(document)


READER_OF_SUFFIX: Mapping[str, Callable[[str], list[TargetGroup]]] = {
    ".yml": groups_of_yaml,
    ".yaml": groups_of_yaml,
    ".json": groups_of_json,
}


def _groups(document: object) -> list[TargetGroup]:
    if document is None:
        return []
    if not isinstance(document, list):
        raise SDSourceError("must be a list of groups, each with targets and labels")
    return [_group(raw, f"[{index}]") for index, raw in enumerate(document)]


def _group(raw: object, place: str) -> TargetGroup:
    if not isinstance(raw, dict):
        raise SDSourceError(f"{place} must be a mapping with targets and labels")
    unknown = next((key for key in raw if key not in KEYS), None)
    if unknown is not None:
        raise SDSourceError(f"{step(place, unknown)} is not a known key: a group has targets and labels")
    targets, labels = raw.get("targets"), raw.get("labels")
    if not isinstance(targets, list | None):
        raise SDSourceError(f"{place}.targets must be a list")
    if not isinstance(labels, dict | None):
        raise SDSourceError(f"{place}.labels must be a mapping of names and values")
    return TargetGroup(targets or [], labels or {})


PLACE = "static_configs"


def static_listing(config: Config) -> Listing:
    """All of them as one list: a target that stands in two groups is a duplicate."""
    groups = (TargetGroup([str(target) for target in group.targets], group.labels) for group in config.static_configs)
    return read_groups(Source.STATIC, groups, PLACE)


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

    @property
    def answered(self) -> bool:
        """Whether all of it could be had at least once."""
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
