"""What a query names: metrics with their labels, and label values, held against the exporter's own tables."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.rules.bundle import RECORDED, rules
from tests.support.metric_names import MATCHER, NAMES, WORDS, grouped

SCRAPED = frozenset({"job", "instance", "namespace", "pod", "container", "endpoint"})
NAME = re.compile(r"(?<![\w:\"{=])((?:\w+:)?(?:webcast|process)_\w+(?::\w+)?|\bup\b|ALERTS)(?:\{([^}]*)\})?")
PLACEHOLDERS = {"APP", "ROOM", "TASK", "ACCOUNT"}


@dataclass(frozen=True)
class Selector:
    """One selector: a name, and its matchers as label, operator and value."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> Iterator[Selector]:
    """All of an expression's; comments are left out."""
    code = "\n".join(line.partition("#")[0] for line in expression.splitlines())
    for name, matchers in NAME.findall(code):
        yield Selector(name, tuple(MATCHER.findall(matchers)))


def scraped() -> Mapping[str, frozenset[str]]:
    """Every sample's name of the exporter, and its labels."""
    return {name: allowed.labels | SCRAPED for name, allowed in NAMES.items()}


def recorded() -> Mapping[str, frozenset[str]]:
    """What is recorded, and the labels that its level names; a task's are those of its problem and of its info."""
    of_task = frozenset({"app_id", "room_id", "task_id", "account", "namespace", "problem", "cause"})
    every = {label for labels in scraped().values() for label in labels}
    names = [rule["record"] for rule in rules() if "record" in rule]
    return {name: of_task if name.startswith("task:") else level_of(name, every) for name in names}


def level_of(name: str, labels: set[str]) -> frozenset[str]:
    """The labels that a recorded name begins with, `account_app_id:...` having two."""
    rest, found = name.partition(":")[0], set[str]()
    while rest:
        label = max((label for label in labels if f"{rest}_".startswith(f"{label}_")), key=len, default="")
        if not label:
            return frozenset()
        found.add(label)
        rest = rest[len(label) + 1 :]
    return frozenset(found)


def metric_of(name: str) -> str:
    """The scraped metric that a recorded one speaks of, with `_total` where a counter lost it on the way."""
    if name == "task:webcast_task_problem_since:held":
        return "webcast_task_problem_since_timestamp_seconds"
    middle = name.split(":")[1] if RECORDED.fullmatch(name) else name
    return middle if middle in scraped() else f"{middle}_total"


def faults(expression: str) -> list[str]:
    """Names that are in no table, labels that a metric has not, values that a label cannot have."""
    known = {**scraped(), **recorded(), "ALERTS": SCRAPED | {"alertname", "alertstate", "severity"}}
    names = frozenset(rule["alert"] for rule in rules() if "alert" in rule)
    wrong = []
    anywhere = set[str]()
    for selector in selectors(expression):
        labels = known.get(selector.name)
        if labels is None:
            wrong.append(selector.name)
            continue
        anywhere |= labels | ({"app_id", "account", "room_id", "task_id"} if selector.name == "ALERTS" else set())
        for label, operator, text in selector.matchers:
            allowed = names if label == "alertname" else WORDS.get((metric_of(selector.name), label))
            words = text.split("|") if "~" in operator else [text]
            if label not in labels:
                wrong.append(f"{selector.name}{{{label}}}")
            elif allowed is not None:
                matched = re.fullmatch if "~" in operator else str.__eq__
                wrong += [f"{label}={word}" for word in words if not any(matched(word, each) for each in allowed)]
            elif not _free(label, text):
                wrong.append(f"{label}={text}")
    wrong += sorted(grouped(expression) - anywhere)
    return wrong


def _free(label: str, text: str) -> bool:
    """Whether a label without a list of words may be asked for this: nothing, a placeholder, a word of ALERTS."""
    return text == "" or text in PLACEHOLDERS or label in {"job", "alertstate", "severity"}
