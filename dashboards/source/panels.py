"""One function per type of panel: its title, its size, its queries, how it looks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dashboards.source.fields import Column, Json, StateChange, colored, fixed, mapping, override, thresholds
from dashboards.source.words import Word

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
NO_WORDS: Mapping[str, Word] = {}


class Query(NamedTuple):
    """An expression, and the name of what it draws."""

    expression: str
    legend: str = ""


class Size(NamedTuple):
    """Columns of the 24, and lines."""

    w: int
    h: int


def panel_of(kind: str, title: str, size: Size, targets: list[Json], defaults: Json) -> Json:
    """What every type of panel has."""
    return {
        "type": kind,
        "title": title,
        "gridPos": {"w": size.w, "h": size.h},
        "datasource": DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
    }


def targets_of(queries: Sequence[Query], *, instant: bool, form: str = "") -> list[Json]:
    """The queries as Grafana sends them: of one moment, or over time; `form` is how the answer is read."""
    return [
        {
            "refId": "ABCDEFGHIJKLMNOP"[place],
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expression,
            "instant": instant,
            "range": not instant,
            **({"legendFormat": query.legend} if query.legend else {}),
            **({"format": form} if form else {}),
        }
        for place, query in enumerate(queries)
    ]


REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def stat(
    title: str,
    size: Size,
    *queries: Query,
    steps: Iterable[StateChange],
    unit: str = "none",
    decimals: int | None = 0,
    words: Mapping[str, Word] = NO_WORDS,
    none: str = "",
    loud: bool = False,
    links: Sequence[Json] = (),
    overrides: Sequence[Json] = (),
) -> Json:
    """Numbers of this moment; `loud` ones have the whole panel in their colour, `none` is said when there is none."""
    defaults = {
        "unit": unit,
        "thresholds": thresholds(steps),
        "color": {"mode": "thresholds"},
        "mappings": mapping(words),
        **({} if decimals is None else {"decimals": decimals}),
        **({"noValue": none} if none else {}),
        **({"links": list(links)} if links else {}),
    }
    panel = panel_of("stat", title, size, targets_of(queries, instant=True), defaults)
    panel["fieldConfig"]["overrides"] = list(overrides)
    panel["options"] = {
        "reduceOptions": REDUCED,
        "orientation": "auto",
        "textMode": "value_and_name" if queries[0].legend else "value",
        "colorMode": "background" if loud else "value",
        "graphMode": "none",
        "justifyMode": "center",
        "wideLayout": True,
    }
    return panel


def bars(
    title: str,
    size: Size,
    *queries: Query,
    unit: str = "none",
    steps: Iterable[StateChange] = (),
    words: Mapping[str, Word] = NO_WORDS,
    overrides: Sequence[Json] = (),
    form: str = "",
    names: str = "left",
    **more: Any,
) -> Json:
    """Bars of this moment, one below the other; one colour for all unless `steps` or `words` give more."""
    scale = tuple(steps)
    defaults = {
        "unit": unit,
        "color": {"mode": "thresholds"} if scale else fixed("blue"),
        "thresholds": thresholds(scale[1:], scale[0][1]) if scale else thresholds((), "blue"),
        "min": 0,
        **more,
    }
    panel = panel_of("bargauge", title, size, targets_of(queries, instant=True, form=form), defaults)
    panel["fieldConfig"]["overrides"] = [*colored(words), *overrides]
    panel["options"] = {
        "reduceOptions": REDUCED,
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "text",
        "namePlacement": names,
        "text": {"titleSize": 13, "valueSize": 16},
        "showUnfilled": True,
        "sizing": "manual",
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 48,
    }
    return panel


def table(
    title: str,
    size: Size,
    *queries: Query,
    columns: Sequence[Column],
    none: str = "Nothing to show",
    sort: str = "",
    rising: bool = False,
    hidden: Sequence[str] = (),
) -> Json:
    """Rows of this moment; the values of several queries stand beside one another where their labels are equal."""
    defaults = {
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False},
        "thresholds": thresholds((), "green"),
        "noValue": none,
    }
    panel = panel_of("table", title, size, targets_of(queries, instant=True, form="table"), defaults)
    panel["fieldConfig"]["overrides"] = [
        override(column.title, column.properties) for column in columns if column.properties
    ]
    sources = {_field(column.source, queries): column.title for column in columns}
    alone = {"Value": sources["Value #A"]} if "Value #A" in sources else {}
    organize = {
        "excludeByName": dict.fromkeys(("Time", *hidden), True),
        "indexByName": {source: place for place, source in enumerate(sources)},
        "renameByName": {**sources, **alone},
        "includeByName": {},
    }
    merge = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    panel["transformations"] = [*merge, {"id": "organize", "options": organize}]
    panel["options"] = {
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": sort, "desc": not rising}] if sort else [],
    }
    return panel


def _field(source: str, queries: Sequence[Query]) -> str:
    """The name of a column's field: Grafana tells values apart by their query only where there are several."""
    if len(source) > 1:
        return source
    return f"Value #{source}" if len(queries) > 1 else "Value"


def gauge(title: str, size: Size, query: Query, *, steps: Sequence[StateChange], unit: str, **more: Any) -> Json:
    """One number of this moment on a dial."""
    defaults = {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(steps[1:], steps[0][1]),
        "min": 0,
        **more,
    }
    panel = panel_of("gauge", title, size, targets_of([query], instant=True), defaults)
    panel["options"] = {
        "reduceOptions": REDUCED,
        "orientation": "auto",
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
        "sizing": "auto",
    }
    return panel
