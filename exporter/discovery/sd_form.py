"""Prometheus's SD form, `[{"targets": [...], "labels": {...}}]`, out of YAML or JSON text.

A document of another shape is of no use at all; what is wrong with one target or with one group's labels is left to
`read_groups`.
"""

import json
from collections.abc import Callable, Mapping

from exporter.config.document import parse
from exporter.config.paths import step
from exporter.discovery.feed import SDSourceError
from exporter.discovery.groups import TargetGroup
from exporter.errors import ConfigError

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
