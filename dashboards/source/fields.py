"""Parts of a panel's field configuration: thresholds, value mappings, overrides, the columns of a table, links."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dashboards.source.words import GREY, Word

Json = dict[str, Any]
StateChange = tuple[float, str]

FACT: tuple[StateChange, ...] = ((0, "blue"),)
ALARM: tuple[StateChange, ...] = ((0, "green"), (1, "red"))
WARNING: tuple[StateChange, ...] = ((0, "green"), (1, "orange"))
SOME_ALARM: tuple[StateChange, ...] = ((0, "green"), (0.5, "red"))
SOME_WARNING: tuple[StateChange, ...] = ((0, "green"), (0.5, "orange"))
"""The last two are for growths, which Prometheus estimates in fractions."""

UP_DOWN: Mapping[str, Word] = {"0": Word("DOWN", "red"), "1": Word("up", "green")}

KEPT = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
"""What a link to another dashboard carries over."""


def thresholds(steps: Iterable[StateChange], base: str = GREY) -> Json:
    """Absolute ones; `base` is the colour below the first, and of no value at all."""
    above = [{"color": color, "value": value} for value, color in steps]
    return {"mode": "absolute", "steps": [{"color": base, "value": None}, *above]}


def mapping(words: Mapping[str, Word]) -> list[Json]:
    """Values to texts and colours."""
    options = {
        value: {"text": word.text, "color": word.color, "index": index}
        for index, (value, word) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}] if options else []


def instead(text: str, color: str, *, value: str = "0") -> list[Json]:
    """One value that is shown as a text."""
    return mapping({value: Word(text, color)})


def override(name: str, properties: Mapping[str, Any], *, matcher: str = "byName") -> Json:
    """Properties of the field of this name."""
    values = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": matcher, "options": name}, "properties": values}


def fixed(color: str) -> Json:
    """A colour whatever the value."""
    return {"mode": "fixed", "fixedColor": color}


def colored(words: Mapping[str, Word]) -> list[Json]:
    """One override per word: its colour, and its text where that differs."""
    return [
        override(name, {"color": fixed(word.color)} | ({} if word.text == name else {"displayName": word.text}))
        for name, word in words.items()
    ]


def dashed(color: str) -> Json:
    """How a limit is drawn."""
    return {"color": fixed(color), "custom.fillOpacity": 0, "custom.lineStyle": {"fill": "dash", "dash": [8, 6]}}


class Column(NamedTuple):
    """A table's column: the label it shows, or the letter of the query whose value it shows; its title; how."""

    source: str
    title: str
    properties: Mapping[str, Any] = {}


WHEN: Mapping[str, Any] = {"unit": "dateTimeFromNow", "custom.width": 145}
LENGTH: Mapping[str, Any] = {"unit": "dthms", "custom.width": 95}


def in_color(words: Mapping[str, Word], width: int) -> Json:
    """A column of words in their colours."""
    return {"mappings": mapping(words), "custom.cellOptions": {"type": "color-text"}, "custom.width": width}


def shaded(steps: Iterable[StateChange], base: str) -> Json:
    """A column whose cells take their colour from the value."""
    return {
        "thresholds": thresholds(steps, base),
        "custom.cellOptions": {"type": "color-background", "mode": "basic"},
    }


def link(title: str, url: str) -> Json:
    """A data link."""
    return {"title": title, "url": url, "targetBlank": False}


TO_TASK = link(
    "Show this task",
    "/d/webcast-task/webcast-task?"
    "var-app_id=${__data.fields.app_id}&var-room_id=${__data.fields.room_id}&var-task_id=${__data.fields.task_id}"
    f"&{KEPT}",
)
TO_EXPORTER = link("Exporter and API", f"/d/webcast-exporter/webcast-exporter?{KEPT}")

ROOM_AND_TASK = tuple(
    Column(f"{name}_id", name.title(), {"links": [TO_TASK], "custom.minWidth": 90}) for name in ("room", "task")
)
APP_OF_LINKS = Column("app_id", "App", {"custom.hidden": True, "custom.hideFrom.viz": True})
"""The links need it; of 24 hexadecimal digits a person learns nothing. Grafana 12.2 renamed the property."""
