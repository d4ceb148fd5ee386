"""Places in a document, spelled as a person points at them: `accounts[0].max_qps`."""

import re
from collections.abc import Iterable

PLAIN = re.compile(r"[\w@-]{1,80}")
LONGEST_KEY = 80


def step(path: str, part: str | int) -> str:
    """The place one step further down: a key, or an index of a list."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    key = part if PLAIN.fullmatch(part) else ascii(part[:LONGEST_KEY])
    return f"{path}.{key}" if path else key


def spell(parts: Iterable[str | int]) -> str:
    """The place at the end of these steps; empty for the whole document."""
    path = ""
    for part in parts:
        path = step(path, part)
    return path
