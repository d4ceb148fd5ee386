"""How tests read dashboards: what panels say of fields, and what PromQL names, without a parser of PromQL."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.support.metric_names import MATCHER, NAMES, WORDS, Name

Json = dict[str, Any]

SELECTOR = re.compile(r"(?:(\w+)\()?\b([a-z]\w*)\{([^{}]*)\}(?:\[([^\]]*)\])?")
REPLACED = re.compile(r', "(\w+)", "[^"]*", "([\w$]*)", "[^"]*"\)')
SCRAPED = frozenset({"job", "instance"})
"""The labels that every scrape adds."""

NOTHING = Name(frozenset(), only_grows=False)


class Selector(NamedTuple):
    """A selector, and the function that it is the argument of (empty when none); label to operator and value."""

    function: str
    name: str
    matchers: dict[str, tuple[str, str]]
    window: str

    @property
    def allows(self) -> Name:
        """By the tables; a name that is in none has no labels of its own."""
        allowed = NAMES.get(self.name, NOTHING)
        return allowed._replace(labels=allowed.labels | SCRAPED)

    def words(self, label: str) -> frozenset[str] | None:
        """Which words the label can have here; None when that is not ours to say."""
        operator, value = self.matchers.get(label, ("", ""))
        narrowed = operator in {"=", "=~"} and not value.startswith("$")
        return frozenset(value.split("|")) if narrowed else WORDS.get((self.name, label))


def selectors(expression: str) -> list[Selector]:
    return [
        Selector(function, name, {label: (how, value) for label, how, value in MATCHER.findall(matchers)}, window)
        for function, name, matchers, window in SELECTOR.findall(expression)
    ]


def queries(document: Json) -> Iterator[tuple[str, Json]]:
    """Where a dashboard asks, and what: the targets of its panels, and its annotations."""
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target
    for annotation in document["annotations"]["list"]:
        if not annotation.get("builtIn"):
            yield annotation["name"], annotation["target"]


def properties(panel: Json, name: str) -> list[Any]:
    """Every value that a panel's field configuration gives the property `name`, overrides included."""
    config = panel["fieldConfig"]
    overridden = [item["value"] for rule in config["overrides"] for item in rule["properties"] if item["id"] == name]
    return [config["defaults"][name], *overridden] if name in config["defaults"] else overridden


def fixed_names(panel: Json) -> set[str]:
    return {
        rule["matcher"]["options"] for rule in panel["fieldConfig"]["overrides"] if rule["matcher"]["id"] == "byName"
    }


def columns(panel: Json) -> dict[str, str]:
    renamed: dict[str, str] = panel["transformations"][-1]["options"]["renameByName"]
    return renamed


def variables(document: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in document["templating"]["list"]}
