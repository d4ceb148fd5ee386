"""What is asked of classes and their expected times, and of tasks that fail."""

from dashboards.source.queries import APP, ONE_TASK, in_status, left, of_task, zero_of
from exporter.enums import ReadFailure, Status

DARK_AFTER, FORGOTTEN_AFTER = 120, 86_400
"""Seconds after its expected start between which a class that does not run is dark; no task runs for over a day."""
GRACE = 60
"""Seconds by which a class may be cut: one that started early, limited to exactly its length, is no accident."""

START = of_task(APP, "webcast_task_start_timestamp_seconds")
END = of_task(APP, "webcast_task_end_timestamp_seconds")
LIMIT = of_task(APP, "webcast_task_max_running_time_seconds")
DURATION = of_task(APP, "webcast_task_duration_seconds")
LAST_GOOD_READ = of_task(APP, "webcast_task_last_successful_read_timestamp_seconds")
EXPECTED_START = of_task(APP, "webcast_task_expected_start_timestamp_seconds")
EXPECTED_END = of_task(APP, "webcast_task_expected_end_timestamp_seconds")
NOT_FOUND = of_task(APP, "webcast_task_read_error", reason=ReadFailure.NOT_FOUND)
RUNNING = in_status(APP, Status.RUNNING)
ENDED = in_status(APP, Status.ENDED)
FAILED = in_status(APP, Status.FAILED)
TRACKED = "sum(" + APP("webcast_tasks") + ")"

DARK = f"""(
  time() - {EXPECTED_START} > {DARK_AFTER} < {FORGOTTEN_AFTER}
  and ({of_task(APP, "webcast_task_status")} or {NOT_FOUND})
  unless {RUNNING}
  unless {EXPECTED_END} < time()
  unless ({ENDED} unless {EXPECTED_END})
)"""
"""Seconds since its expected start, of each class that should be on and is not, as far as is known.

One that was meant to start a day ago is a forgotten target. One that cannot be read is stale, not dark: an API that
fails is no dark fleet. An ended one is dark only while its expected end is yet to come: without one, it may have ended
as it should.
"""

CUT = f"""(
  {EXPECTED_END} - {START} - {LIMIT} > {GRACE}
  unless {ENDED}
  unless {FAILED}
)"""
"""Seconds of each class that will be missing because MaxRunningTime is over before its expected end."""

OVERRUN = f"""(
  time() - {EXPECTED_END} > 0
  and {RUNNING}
)"""
"""Seconds since its expected end, of each task that runs on."""

SOON_OVER = f"""(
  {left(APP)} < 600
  and {RUNNING}
  unless {EXPECTED_END}
)"""


NOW = f"""topk by ({ONE_TASK}) (1,
  max by ({ONE_TASK}, status) ({APP("webcast_task_status")} == 1)
  or on ({ONE_TASK}) label_replace({NOT_FOUND}, "status", "not_found", "", "")
)"""
"""What is known of each task, as a word in the label `status`."""


def how_many(classes: str, expected: str = EXPECTED_START) -> str:
    """Their number; nothing at all where no target says what is expected."""
    return zero_of(f"count({classes})", f"count({expected})")
