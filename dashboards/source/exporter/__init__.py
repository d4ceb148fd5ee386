"""Exporter and API: can the numbers be trusted, does the budget suffice, where do the targets come from."""

from dashboards.source.exporter import api, process, reading, targets, trust
from dashboards.source.frame import dashboard
from dashboards.source.marks import RESTARTS
from dashboards.source.variables import ACCOUNTS

DASHBOARD = dashboard(
    "exporter",
    [trust.ROW, api.ROW, reading.ROW, targets.LISTS, targets.CALLBACKS, process.ROW],
    variables=[ACCOUNTS],
    annotations=[RESTARTS],
    since="now-6h",
)
