"""Exporter: where targets come from, and what the vendor calls back."""

from dashboards.source.fields import WHEN, Column, instead, shaded
from dashboards.source.frame import Row
from dashboards.source.over_time import lines
from dashboards.source.panels import Query, Size, bars, table
from dashboards.source.queries import EXPORTER, grown, per_minute, total
from dashboards.source.words import OUTCOMES, REJECTIONS, SOURCES

CALLBACK_EVENTS = EXPORTER("webcast_callback_events_total")

LISTS = Row(
    "Where targets come from",
    [
        lines(
            "Targets by source",
            Size(10, 8),
            Query(total(EXPORTER("webcast_targets"), "source"), "{{source}}"),
            stacked=True,
            words=SOURCES,
            decimals=0,
        ),
        bars(
            "Rejected targets, now",
            Size(4, 8),
            Query(total(EXPORTER("webcast_targets_rejected"), "reason"), "{{reason}}"),
            words=REJECTIONS,
            names="top",
            decimals=0,
        ),
        table(
            "Lists of targets",
            Size(10, 8),
            Query(f"1000 * max by (source, config) ({EXPORTER('webcast_discovery_last_success_timestamp_seconds')})"),
            Query(grown(EXPORTER("webcast_discovery_failures_total"), "source", "config")),
            columns=[
                Column("source", "Source", {"custom.width": 90}),
                Column("config", "Section of the configuration"),
                Column("A", "Last had", {**WHEN, "mappings": instead("never", "red")}),
                Column("B", "Failures", {"decimals": 0, "custom.width": 100, **shaded([(0.5, "red")], "green")}),
            ],
            none="The configuration has no file_sd_configs and no http_sd_configs",
            sort="Failures",
        ),
    ],
)

CALLBACKS = Row(
    "Callbacks of the vendor",
    [
        lines(
            "Callbacks per minute, by outcome",
            Size(16, 8),
            Query(per_minute(CALLBACK_EVENTS, "outcome"), "{{outcome}}"),
            unit="short",
            stacked=True,
            legend=["mean", "max"],
            words=OUTCOMES,
            custom={"axisSoftMax": 1},
        ),
        bars(
            "Callbacks in this range",
            Size(8, 8),
            Query(f"sort_desc({grown(CALLBACK_EVENTS, 'outcome')})", "{{outcome}}"),
            words=OUTCOMES,
            decimals=0,
        ),
    ],
)
