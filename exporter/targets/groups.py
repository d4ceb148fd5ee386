"""One source's list of targets, read once when it changes: what it names, and what is wrong with the rest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.config.labels import label_name, own_labels
from exporter.config.times import expected_times
from exporter.errors import Problem
from exporter.model.target import TargetId
from exporter.vocabulary import Rejection, Source


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets that share labels: one element of Prometheus's SD form, all of it text as written."""

    targets: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
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
    targets: Mapping[TargetId, Listed] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()


def read_groups(source: Source, groups: Iterable[TargetGroup], place: str = "") -> Listing:
    """Read one list. One bad target costs that target, bad labels cost their group; the first of two equal ones stays.

    `place` is where the list stands (`static_configs`), for the problems' paths.
    """
    targets: dict[TargetId, Listed] = {}
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


def _entries(group: TargetGroup, place: str) -> Iterator[tuple[str, tuple[TargetId, Listed] | str]]:
    """Each entry's place, with the target or the sentence that says why it is none."""
    shared = _shared(group.labels)
    for index, text in enumerate(group.targets):
        where = f"{place}.targets[{index}]"
        if isinstance(shared, str):
            yield where, shared
            continue
        try:
            yield where, (TargetId.parse(text), shared)
        except ValueError as error:
            yield where, str(error)


def _shared(labels: Mapping[str, str]) -> Listed | str:
    """What the group's labels say of each of its targets, or the sentence that says what is wrong with them."""
    try:
        for name in labels:
            label_name(name)
        start, end = expected_times(labels)
    except ValueError as error:
        return f"labels: {error}"
    return Listed(own_labels(labels), start, end)
