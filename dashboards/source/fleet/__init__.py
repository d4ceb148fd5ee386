"""Fleet: is a class dark right now, which one, and why; then how the day goes."""

from dashboards.source.fleet import day, limits, now, pages, sure
from dashboards.source.frame import dashboard
from dashboards.source.marks import CUT, FAILURES, RESTARTS
from dashboards.source.variables import APPS, text_box

DASHBOARD = dashboard(
    "fleet",
    [now.ROW, sure.ROW, pages.ROW, day.STATUSES, day.ENDINGS, limits.ROW],
    variables=[APPS, text_box("label", "Trouble by", "page")],
    annotations=[FAILURES, CUT, RESTARTS],
    since="now-6h",
)
