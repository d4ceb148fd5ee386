"""One source's list of targets, read once when it changes: what it names, and what is wrong with the rest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.config.labels import label_name, label_value, own_labels
from exporter.config.times import expected_times
from exporter.enums import Rejection, Source
from exporter.errors import Problem
from exporter.model.target import TargetId


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
