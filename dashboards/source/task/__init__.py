"""Task: all that is known of one task, for whoever was sent here by a click or an alert."""

from dashboards.source.frame import dashboard
from dashboards.source.marks import ENDED, PAGE_EVENTS, RESTARTS, STARTED
from dashboards.source.task import page, reads, settings, state
from dashboards.source.variables import APP, text_box

DASHBOARD = dashboard(
    "task",
    [state.ROW, state.TIMES, page.ROW, settings.ROW, reads.ROW],
    variables=[APP, text_box("room_id", "Room"), text_box("task_id", "Task")],
    annotations=[STARTED, ENDED, PAGE_EVENTS, RESTARTS],
    since="now-6h",
)
