"""Exporter: the process itself."""

from dashboards.source.fields import dashed, fixed, override
from dashboards.source.frame import Row
from dashboards.source.over_time import lines
from dashboards.source.panels import Query, Size, bars
from dashboards.source.queries import EXPORTER, grown
from dashboards.source.words import SCHEDULER

SIXTH, THIRD = Size(6, 7), Size(8, 7)

ROW = Row(
    "The process",
    [
        lines(
            "Memory",
            SIXTH,
            Query(f"max by (instance) ({EXPORTER('process_resident_memory_bytes')})", "{{instance}}"),
            unit="bytes",
        ),
        lines(
            "CPU",
            SIXTH,
            Query(
                f"sum by (instance) (rate({EXPORTER('process_cpu_seconds_total')}[$__rate_interval]))", "{{instance}}"
            ),
            unit="percentunit",
        ),
        lines(
            "Open files",
            SIXTH,
            Query(f"max by (instance) ({EXPORTER('process_open_fds')})", "{{instance}}"),
            Query(f"min({EXPORTER('process_max_fds')})", "limit"),
            overrides=[override("limit", dashed("red"))],
            custom={"scaleDistribution": {"type": "log", "log": 10}},
            min=1,
            decimals=0,
        ),
        lines(
            "Scrape duration",
            SIXTH,
            Query(f"max by (instance) ({EXPORTER('scrape_duration_seconds')})", "{{instance}}"),
            unit="s",
        ),
        bars(
            "Jobs that did not go as planned, in this range",
            THIRD,
            Query(grown(EXPORTER("webcast_exporter_scheduler_events_total"), "event"), "{{event}}"),
            words=SCHEDULER,
            decimals=0,
        ),
        lines(
            "Errors that nobody foresaw",
            THIRD,
            Query(
                f"sum by (instance) (increase({EXPORTER('webcast_exporter_internal_errors_total')}[$__rate_interval]))",
                "internal, {{instance}}",
            ),
            Query(
                f"sum by (instance) (increase({EXPORTER('webcast_state_write_failures_total')}[$__rate_interval]))",
                "state, {{instance}}",
            ),
            bars=True,
            stacked=True,
            unit="short",
            overrides=[
                override("/^internal/", {"color": fixed("red")}, matcher="byRegexp"),
                override("/^state/", {"color": fixed("orange")}, matcher="byRegexp"),
            ],
            custom={"axisSoftMax": 1},
        ),
        bars(
            "Odd answers in this range, by field",
            THIRD,
            Query(
                f"sort_desc(topk(10, {grown(EXPORTER('webcast_api_unexpected_values_total'), 'field')}) > 0.5)",
                "{{field}}",
            ),
            noValue="No odd answer",
            decimals=0,
        ),
    ],
)
