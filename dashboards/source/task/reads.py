"""Task: how well it is read."""

from dashboards.source.fields import fixed, override
from dashboards.source.frame import Row
from dashboards.source.over_time import lines
from dashboards.source.panels import Query, Size
from dashboards.source.task import codes

ROW = Row(
    "How well is it read?",
    [
        lines(
            "Age of the last good read",
            Size(24, 6),
            Query(f"time() - {codes.LAST_GOOD_READ}", "age"),
            unit="s",
            overrides=[override("age", {"color": fixed("blue")})],
            noValue="Never read",
        ),
    ],
)
