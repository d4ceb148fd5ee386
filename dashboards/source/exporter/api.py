"""Exporter: calls to the vendor's API, against each account's budget."""

from dashboards.source.exporter.trust import LATE, RATES
from dashboards.source.fields import UP_DOWN, Column, dashed, fixed, in_color, override, shaded
from dashboards.source.frame import Row
from dashboards.source.over_time import heatmap, lines
from dashboards.source.panels import Query, Size, table
from dashboards.source.queries import ACCOUNT, quantile, rate, total
from dashboards.source.words import FAILURES
from exporter.enums import ReadFailure

REQUESTS = ACCOUNT("webcast_api_requests_total")
FAILED = ACCOUNT("webcast_api_request_failures_total")
DEMAND = ACCOUNT("webcast_poll_demand_requests_per_second")
EFFECTIVE = ACCOUNT("webcast_api_rate_limit_requests_per_second", kind="effective")
LATENCY = ACCOUNT("webcast_api_request_duration_seconds_bucket")
CALL_FAILURES = {name: word for name, word in FAILURES.items() if name != ReadFailure.NOT_FOUND}
PER_SECOND = {"unit": "reqps", "decimals": 1}

ROW = Row(
    "The vendor's API: calls against the budget",
    [
        table(
            "Accounts",
            Size(24, 6),
            Query(f"max by (account) ({ACCOUNT('webcast_api_up')})"),
            Query(rate(REQUESTS, "account")),
            Query(total(DEMAND, "account")),
            Query(total(EFFECTIVE, "account")),
            Query(total(RATES, "account")),
            Query(f"{rate(REQUESTS, 'account')} / {total(EFFECTIVE, 'account')}"),
            Query(rate(FAILED, "account")),
            Query(f"max by (account) ({LATE}) or 0 * max by (account) ({RATES})"),
            Query(f"max by (account) ({ACCOUNT('webcast_api_clock_skew_seconds')})"),
            columns=[
                Column("account", "Account"),
                Column("A", "API", in_color(UP_DOWN, 80)),
                Column("B", "Calls", PER_SECOND),
                Column("C", "Demand", PER_SECOND),
                Column("D", "Budget now", PER_SECOND),
                Column("E", "Budget configured", PER_SECOND),
                Column(
                    "F",
                    "Budget used",
                    {
                        "unit": "percentunit",
                        "decimals": 0,
                        "min": 0,
                        "max": 1,
                        "color": {"mode": "thresholds"},
                        **shaded([(0.9, "orange")], "green"),
                        "custom.cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
                    },
                ),
                Column("G", "Failed calls", {**PER_SECOND, **shaded([(0.05, "orange"), (1, "red")], "transparent")}),
                Column("H", "Oldest due", {"unit": "s", **shaded([(30, "orange"), (120, "red")], "transparent")}),
                Column("I", "Clock skew", {"unit": "s", "decimals": 1}),
            ],
            none="No account is known",
            sort="Failed calls",
        ),
        lines(
            "Calls per second against the budget",
            Size(12, 8),
            Query(rate(REQUESTS), "calls sent"),
            Query(total(DEMAND), "demand"),
            Query(total(EFFECTIVE), "effective budget"),
            Query(total(RATES), "configured budget"),
            unit="reqps",
            fill=0,
            overrides=[
                override("calls sent", {"color": fixed("blue"), "custom.fillOpacity": 25}),
                override("demand", {"color": fixed("orange")}),
                override("effective budget", {"color": fixed("red")}),
                override("configured budget", {**dashed("#8e8e8e"), "custom.lineWidth": 1}),
            ],
        ),
        lines(
            "Failed calls per second, by reason",
            Size(12, 8),
            Query(rate(FAILED, "reason"), "{{reason}}"),
            unit="reqps",
            stacked=True,
            words=CALL_FAILURES,
            custom={"axisSoftMax": 1},
        ),
        heatmap(
            "Latency of calls",
            Size(12, 8),
            f"sum by (le) (increase({LATENCY}[$__rate_interval]))",
            "s",
        ),
        lines(
            "Latency of calls, quantiles",
            Size(6, 8),
            *(
                Query(quantile(share, LATENCY), name)
                for share, name in ((0.5, "median"), (0.9, "90 %"), (0.99, "99 %"))
            ),
            unit="s",
            fill=0,
        ),
        lines(
            "Throttled by the vendor: budget left",
            Size(6, 8),
            Query(f"bottomk(10, {total(EFFECTIVE, 'account')} / {total(RATES, 'account')})", "{{account}}"),
            unit="percentunit",
            fill=0,
            max=1,
        ),
    ],
)
