"""Write docs/log-events.md: every event that the code logs, with its level and keys (`make docs`)."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = ROOT / "docs" / "log-events.md"
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
NO_KEYS = ("exc_info", "stack_info")

INTRODUCTION = """\
# Log events

Made by `make docs` from the code. What a line looks like: [command-line.md](command-line.md#the-log). An event is a
constant text; what it is about stands in its keys.

| Event | Level | Keys | Logger |
| --- | --- | --- | --- |
"""


class Event(NamedTuple):
    """One event as the code logs it."""

    name: str
    level: str
    keys: tuple[str, ...]
    logger: str


def events() -> Iterator[Event]:
    """Yield every call of `log.warning("event", key=...)` and its kind in the package."""
    for file in sorted((ROOT / "exporter").rglob("*.py")):
        text = file.read_text("utf-8")
        if "structlog.stdlib.get_logger" not in text:
            continue
        logger = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                if not isinstance(node.func.value, ast.Name) or node.func.value.id != "log" or not node.args:
                    continue
                name = ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else "..."
                keys = tuple(keyword.arg or "..." for keyword in node.keywords if keyword.arg not in NO_KEYS)
                yield Event(str(name), LEVELS[node.func.attr], keys, logger)


def reference() -> str:
    """Return the whole document."""
    rows = sorted(set(events()))
    return INTRODUCTION + "".join(
        f"| {event.name} | {event.level} | {', '.join(f'`{key}`' for key in event.keys)} | `{event.logger}` |\n"
        for event in rows
    )


if __name__ == "__main__":
    DOCUMENT.write_text(reference(), encoding="utf-8")
