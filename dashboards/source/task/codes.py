"""States of one task as numbers, for panels that draw numbers; the dashboards' value mappings make them words again."""

from collections.abc import Mapping

from dashboards.source.queries import TASK, in_status, of_task
from dashboards.source.words import CODES, FAILURES, GREY, STANDINGS, STOPS, Word
from exporter.enums import Status
from exporter.model.task_state import DisplayStatus

START = of_task(TASK, "webcast_task_start_timestamp_seconds")
END = of_task(TASK, "webcast_task_end_timestamp_seconds")
LIMIT = of_task(TASK, "webcast_task_max_running_time_seconds")
DURATION = of_task(TASK, "webcast_task_duration_seconds")
LAST_GOOD_READ = of_task(TASK, "webcast_task_last_successful_read_timestamp_seconds")
EXPECTED_START = of_task(TASK, "webcast_task_expected_start_timestamp_seconds")
EXPECTED_END = of_task(TASK, "webcast_task_expected_end_timestamp_seconds")
READ = of_task(TASK, "webcast_task_read_success")

_NOT_FOUND = of_task(TASK, "webcast_task_read_error", reason="not_found")
_UNREAD = of_task(TASK, "webcast_task_info")

STATE = "\nor ".join(
    (
        *(f"{CODES[status]} * {in_status(TASK, status)}" for status in Status),
        f"{CODES[DisplayStatus.NOT_FOUND]} * {_NOT_FOUND}",
        f"{CODES[DisplayStatus.STALE]} + 0 * {READ}",
        f"{CODES[DisplayStatus.UNREAD]} + 0 * {_UNREAD}",
    )
)
"""Its status while that is fresh, else why there is none."""

STATE_WORDS: Mapping[str, Word] = {str(code): STANDINGS[name] for name, code in CODES.items()}

LATEST_READ = "\nor ".join(
    (
        f"0 * ({READ} == 1)",
        *(
            f"{code} * {of_task(TASK, 'webcast_task_read_error', reason=reason)}"
            for code, reason in enumerate(FAILURES, 1)
        ),
    )
)
"""How the latest read went: 0 = well, else which failure."""

READ_WORDS: Mapping[str, Word] = {
    "0": Word("ok", "green"),
    **{str(code): word for code, word in enumerate(FAILURES.values(), 1)},
}

STOPPED = "\nor ".join(
    f"{code} * {of_task(TASK, 'webcast_task_stop_reason', reason=reason)}" for code, reason in enumerate(STOPS, 1)
)
"""Why it stopped, once it has."""

STOP_WORDS: Mapping[str, Word] = {str(code): word for code, word in enumerate(STOPS.values(), 1)}

CLASS = f"""({EXPECTED_START} <= bool time())
* (({EXPECTED_END} > bool time()) or 1 + 0 * {EXPECTED_START})"""
"""Whether its class is meant to be on."""

CLASS_WORDS: Mapping[str, Word] = {"0": Word("no class", GREY), "1": Word("class", "light-blue")}

NOT_OVER = f"unless {END}"
"""Of a run that is over, no limit is yet to come."""
