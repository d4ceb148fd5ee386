"""The checks on YAML's node graph that come before anything is built of it.

An alias may be written often and cost little to write: nine lines can mean a thousand million values. So a node is
visited once, and its size is the sum of what stands for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import yaml

from exporter.config.paths import step
from exporter.errors import Problem

DEEPEST: Final = 50
"""Levels of nesting; the schema needs six."""

LARGEST: Final = 1_000_000
"""Values once all aliases are written out; 20,000 targets are 20,000."""

STRING: Final = "tag:yaml.org,2002:str"
MERGE: Final = "tag:yaml.org,2002:merge"
KNOWN_TAGS: Final = frozenset(
    {
        STRING,
        MERGE,
        *(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "timestamp", "map", "seq")),
    }
)

Construct = Callable[[yaml.Node], object]


@dataclass(slots=True)
class Findings:
    """Problems that forbid to build the document, and repeated keys, which do not."""

    fatal: list[Problem] = field(default_factory=list)
    repeated: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Walk:
    """One walk over a graph; `sizes` of finished nodes, -1 for those that are being visited."""

    construct: Construct
    found: Findings = field(default_factory=Findings)
    sizes: dict[int, int] = field(default_factory=dict)

    def size(self, node: yaml.Node, path: str) -> int:
        """How many values the node stands for."""
        known = self.sizes.get(id(node))
        if known is None:
            self.sizes[id(node)] = -1
            known = self.sizes[id(node)] = min(self._visit(node, path), LARGEST + 1)
        elif known < 0:
            self._fatal(node, path, "an alias stands inside of what it repeats")
        return max(known, 1)

    def _visit(self, node: yaml.Node, path: str) -> int:
        if node.tag not in KNOWN_TAGS:
            self._fatal(node, path, "no tags (! before a value) are known here; put quotes around it")
        elif isinstance(node, yaml.MappingNode):
            return 1 + self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            return 1 + sum(self.size(item, step(path, index)) for index, item in enumerate(node.value))
        else:
            self._scalar(node, path)
        return 1

    def _mapping(self, node: yaml.MappingNode, path: str) -> int:
        first: dict[str, int] = {}
        total = 0
        for key, value in node.value:
            if key.tag == MERGE:
                total += self.size(value, path)
            elif key.tag != STRING or not isinstance(key, yaml.ScalarNode):
                self._fatal(key, path, "a key must be a string; put quotes around it")
            else:
                place = step(path, key.value)
                self._once(first, key, place)
                total += self.size(value, place)
        return total

    def _once(self, first: dict[str, int], key: yaml.ScalarNode, place: str) -> None:
        line = key.start_mark.line + 1
        if key.value in first:
            self.found.repeated.append(Problem(place, f"is there twice, on line {first[key.value]} and line {line}"))
        first.setdefault(key.value, line)

    def _scalar(self, node: yaml.Node, path: str) -> None:
        """PyYAML recognises a date or a number by its look and fails when it then is none: 2026-13-45."""
        try:
            self.construct(node)
        except (ValueError, KeyError, AttributeError, OverflowError, yaml.YAMLError):
            self._fatal(node, path, "looks like a number or a date and is none; put quotes around it")

    def _fatal(self, node: yaml.Node, path: str, sentence: str) -> None:
        mark = node.start_mark
        self.found.fatal.append(Problem(path, f"{sentence} (line {mark.line + 1}, column {mark.column + 1})"))


def check(root: yaml.Node, construct: Construct) -> Findings:
    """What stands in the way of building the document below `root`; `construct` builds one scalar."""
    walk = _Walk(construct)
    if walk.size(root, "") > LARGEST:
        walk.found.fatal.append(Problem("", f"has more than {LARGEST:,} values once its aliases are written out"))
    return walk.found
