"""Labels that a target is listed with, in whichever form they come."""

from collections.abc import Mapping

from exporter.config.texts import matching, string
from exporter.config.times import EXPECTED, time_text

RESERVED_PREFIX = "__"

label_name = matching("[a-zA-Z_][a-zA-Z0-9_]*", "must be a label name: letters, digits and _, no digit first")
"""A valid label name of Prometheus's data model, or ValueError with a sentence."""


def label_value(name: str, value: object) -> str:
    """The text of one label, or ValueError with a sentence; an expected time may also be a number or a date."""
    return time_text(value) if name in EXPECTED else string(value)


def own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels without `__*`, which speak to the exporter and are never shown."""
    return {name: value for name, value in labels.items() if not name.startswith(RESERVED_PREFIX)}
