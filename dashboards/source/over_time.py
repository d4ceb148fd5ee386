"""Panels over time: lines and bars, states, a histogram."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.source.fields import Json, colored, mapping, override, thresholds
from dashboards.source.panels import NO_WORDS, Query, Size, panel_of, targets_of
from dashboards.source.words import Word


def lines(
    title: str,
    size: Size,
    *queries: Query,
    unit: str = "none",
    stacked: bool = False,
    bars: bool = False,
    fill: int = 10,
    legend: Sequence[str] | None = None,
    words: Mapping[str, Word] = NO_WORDS,
    overrides: Sequence[Json] = (),
    custom: Mapping[str, Any] | None = None,
    **more: Any,
) -> Json:
    """Over time. With `legend` (the names of reducers) a table at the right, else a list below."""
    shape: Json = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 0 if bars else 1 if stacked else 2,
        "fillOpacity": 80 if bars else 70 if stacked else fill,
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "axisBorderShow": False,
        **(custom or {}),
    }
    defaults = {"unit": unit, "color": {"mode": "palette-classic"}, "custom": shape, "min": 0, **more}
    panel = panel_of("timeseries", title, size, targets_of(queries, instant=False), defaults)
    panel["fieldConfig"]["overrides"] = [*colored(words), *overrides]
    at_the_right = {"displayMode": "table", "placement": "right", "calcs": list(legend or ())}
    below = {"displayMode": "list", "placement": "bottom", "calcs": []}
    panel["options"] = {
        "legend": {"showLegend": True, **(below if legend is None else at_the_right)},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def timeline(title: str, size: Size, *lanes: tuple[Query, Mapping[str, Word]]) -> Json:
    """States over time, one lane per query; each lane's numbers have words."""
    defaults = {
        "unit": "none",
        "custom": {"fillOpacity": 85, "lineWidth": 0},
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(()),
    }
    panel = panel_of("state-timeline", title, size, targets_of([query for query, _ in lanes], instant=False), defaults)
    panel["fieldConfig"]["overrides"] = [override(query.legend, {"mappings": mapping(words)}) for query, words in lanes]
    panel["options"] = {
        "alignValue": "left",
        "mergeValues": True,
        "rowHeight": 0.85,
        "showValue": "auto",
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel


def heatmap(title: str, size: Size, buckets: str, unit: str) -> Json:
    """A histogram over time, from its buckets."""
    defaults = {"custom": {"scaleDistribution": {"type": "linear"}}}
    panel = panel_of(
        "heatmap", title, size, targets_of([Query(buckets, "{{le}}")], instant=False, form="heatmap"), defaults
    )
    panel["options"] = {
        "calculate": False,
        "calculation": {},
        "cellGap": 1,
        "cellValues": {"unit": "short", "decimals": 0},
        "color": {"mode": "opacity", "fill": "blue", "scale": "exponential", "exponent": 0.5},
        "exemplars": {"color": "orange"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto", "value": "calls"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    return panel
