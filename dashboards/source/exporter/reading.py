"""Exporter: whether reading keeps up with the fleet."""

from dashboards.source.exporter.api import DEMAND, EFFECTIVE
from dashboards.source.exporter.trust import LATE, RATES
from dashboards.source.fields import fixed, override
from dashboards.source.frame import Row
from dashboards.source.over_time import lines
from dashboards.source.panels import Query, Size
from dashboards.source.queries import ACCOUNT, EXPORTER, quantile, rate, total
from dashboards.source.words import STANDINGS
from exporter.model.task_state import DisplayStatus

THIRD = Size(8, 8)
DELAY = EXPORTER("webcast_run_end_detection_delay_seconds_bucket")
UNSURE = (DisplayStatus.STALE, DisplayStatus.NOT_FOUND, DisplayStatus.UNREAD)

ROW = Row(
    "Does reading keep up?",
    [
        lines(
            "Demand as a share of the budget",
            THIRD,
            Query(f"topk(10, {total(DEMAND, 'account')} / {total(EFFECTIVE, 'account')})", "{{account}}"),
            unit="percentunit",
            fill=0,
            custom={"thresholdsStyle": {"mode": "dashed"}, "axisSoftMax": 1.1},
            thresholds={
                "mode": "absolute",
                "steps": [{"color": "transparent", "value": None}, {"color": "red", "value": 1}],
            },
        ),
        lines(
            "Oldest due read, by account",
            THIRD,
            Query(f"topk(10, max by (account) ({LATE})\nor 0 * max by (account) ({RATES}))", "{{account}}"),
            unit="s",
            fill=0,
            custom={"axisSoftMax": 10},
        ),
        lines(
            "Waiting for the budget",
            THIRD,
            Query(f"topk(10, {rate(ACCOUNT('webcast_api_throttle_wait_seconds_total'), 'account')})", "{{account}}"),
            unit="short",
            fill=0,
            custom={"axisSoftMax": 1},
        ),
        lines(
            "How late ends are seen",
            Size(12, 8),
            *(Query(quantile(share, DELAY), name) for share, name in ((0.5, "median"), (0.9, "90 %"), (0.99, "99 %"))),
            unit="s",
            fill=0,
            custom={"spanNulls": True, "showPoints": "auto"},
        ),
        lines(
            "Tasks without a fresh state",
            Size(12, 8),
            *(
                Query(total(ACCOUNT("webcast_tasks", status=display_status)), STANDINGS[display_status].text)
                for display_status in UNSURE
            ),
            stacked=True,
            overrides=[
                override(STANDINGS[display_status].text, {"color": fixed(STANDINGS[display_status].color)})
                for display_status in UNSURE
            ],
            decimals=0,
            custom={"axisSoftMax": 1},
        ),
    ],
)
