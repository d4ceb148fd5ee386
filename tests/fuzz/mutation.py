"""Documents of JSON, changed in one place: bytes changed at random are hardly ever JSON any more."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**63,
    1e308,
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "\ud800",
    "\x00",
    [],
    {},
    [[]],
    [{}],
    "x" * 300,
)
"""What stands in the place of a value."""

Change = Callable[[bytes, int], bytes]


def mutate(data: bytes, most: int, seed: int, otherwise: Change) -> bytes:
    """One value replaced, taken away, doubled or wrapped; what is no JSON, and one in four, is changed `otherwise`."""
    dice = Random(seed)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return otherwise(data, most)
    if dice.randrange(4) == 0:
        return otherwise(data, most)
    return json.dumps(_changed(document, dice)).encode()[:most]


def _changed(value: Any, dice: Random) -> Any:
    """The same document, with a change somewhere down a random way."""
    if not isinstance(value, dict | list) or not value or dice.randrange(6) == 0:
        return dice.choice((*ODD, [value], {"": value}, str(value)))
    places: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = dice.choice(places)
    changed: Any = dict(value) if isinstance(value, dict) else list(value)
    if dice.randrange(8) == 0:
        del changed[place]
    elif dice.randrange(8) == 0 and isinstance(place, str):
        changed[place.swapcase()] = changed[place]
    else:
        changed[place] = _changed(changed[place], dice)
    return changed
