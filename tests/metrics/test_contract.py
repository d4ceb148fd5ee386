"""The contract's table of metrics, written down once more, against the rows of the house."""

from typing import NamedTuple

import pytest

from exporter.metrics.catalog import Family, Group
from exporter.metrics.catalog.exporter import EXPORTER
from exporter.metrics.catalog.fleet import FLEET
from exporter.metrics.catalog.task import task_families


class Promise(NamedTuple):
    """One family as the contract has it."""

    kind: str
    labels: str
    buckets: str = ""


T = "app_id room_id task_id"

# Section 4, "Per task".
PER_TASK = {
    "core": {
        "webcast_task_read_success": T,
        "webcast_task_read_error": f"{T} reason",
        "webcast_task_last_successful_read_timestamp_seconds": T,
        "webcast_task_status": f"{T} status",
        "webcast_task_start_timestamp_seconds": T,
        "webcast_task_end_timestamp_seconds": T,
        "webcast_task_duration_seconds": T,
        "webcast_task_max_running_time_seconds": T,
        "webcast_task_stop_reason": f"{T} reason",
        "webcast_task_problem": f"{T} problem cause",
        "webcast_task_problem_since_timestamp_seconds": f"{T} problem",
        "webcast_task_expected_start_timestamp_seconds": T,
        "webcast_task_expected_end_timestamp_seconds": T,
        "webcast_task_info": f"{T} account user_id source_host",
    },
    "monitor": {"webcast_task_monitor_interval_seconds": f"{T} check"},
    "video": {
        "webcast_task_video_width_pixels": f"{T} stream",
        "webcast_task_video_height_pixels": f"{T} stream",
        "webcast_task_video_frames_per_second": f"{T} stream",
        "webcast_task_video_max_bytes_per_second": f"{T} stream",
    },
    "event_notify": {
        "webcast_task_event_notify_enabled": T,
        "webcast_task_start_event_timeout_seconds": T,
    },
}

# Section 4, "Fleet".
FLEET_PROMISES = {
    "webcast_tasks": Promise("gauge", "account app_id status"),
    "webcast_problem_tasks": Promise("gauge", "account app_id problem"),
    "webcast_tasks_without_series": Promise("gauge", ""),
    "webcast_run_stops_total": Promise("counter", "app_id reason"),
    "webcast_run_ends_unseen_total": Promise("counter", "app_id"),
    "webcast_run_transitions_total": Promise("counter", "app_id status"),
    "webcast_run_duration_seconds": Promise(
        "histogram", "app_id status", "10 60 300 600 1800 3600 7200 14400 28800 43200 64800 86400 90000"
    ),
    "webcast_run_end_detection_delay_seconds": Promise(
        "histogram", "app_id", "1 2.5 5 10 15 30 60 120 300 900 3600 21600 86400 172800"
    ),
}

# Section 4, "API, polling, targets, self".
EXPORTER_PROMISES = {
    "webcast_api_up": Promise("gauge", "account"),
    "webcast_api_requests_total": Promise("counter", "account"),
    "webcast_api_request_failures_total": Promise("counter", "account reason"),
    "webcast_api_request_duration_seconds": Promise("histogram", "account", "0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10"),
    "webcast_api_rate_limit_requests_per_second": Promise("gauge", "account kind"),
    "webcast_api_throttle_wait_seconds_total": Promise("counter", "account"),
    "webcast_api_unexpected_values_total": Promise("counter", "field"),
    "webcast_api_clock_skew_seconds": Promise("gauge", "account"),
    "webcast_poll_demand_requests_per_second": Promise("gauge", "account"),
    "webcast_poll_oldest_due_timestamp_seconds": Promise("gauge", "account"),
    "webcast_targets": Promise("gauge", "source"),
    "webcast_targets_rejected": Promise("gauge", "reason"),
    "webcast_state_write_failures_total": Promise("counter", ""),
    "webcast_exporter_config_last_reload_successful": Promise("gauge", ""),
    "webcast_exporter_config_last_reload_success_timestamp_seconds": Promise("gauge", ""),
    "webcast_exporter_leader": Promise("gauge", ""),
    "webcast_exporter_build_info": Promise("gauge", "version revision python_version"),
}


def promise(family: Family) -> Promise:
    """A row as the contract would write it."""
    return Promise(family.kind.value, " ".join(family.labels), " ".join(f"{bound:g}" for bound in family.buckets))


def test_every_promise_of_a_task_is_kept() -> None:
    """Per-task families are gauges in the contract's groups, with the contract's labels; there may be more."""
    promised = {
        (name, group): Promise("gauge", labels) for group, names in PER_TASK.items() for name, labels in names.items()
    }
    rows = {(row.family.name, row.group.value): promise(row.family) for row in task_families(Group)}
    assert promised.items() <= rows.items()


@pytest.mark.parametrize(
    ("promised", "rows"), [(FLEET_PROMISES, FLEET), (EXPORTER_PROMISES, EXPORTER)], ids=["fleet", "self"]
)
def test_every_other_promise_is_kept(promised: dict[str, Promise], rows: tuple[Family, ...]) -> None:
    """Type, labels and buckets of each promised family are the contract's; there may be more families."""
    assert promised.items() <= {family.name: promise(family) for family in rows}.items()


@pytest.mark.parametrize("group", ["monitor", "video", "event_notify"])
def test_core_is_always_there_and_a_group_only_when_it_is_named(group: str) -> None:
    """`metrics.groups` names what is served beside `core`."""
    core = {row.family.name for row in task_families([])}
    assert set(PER_TASK["core"]) <= core
    assert set(PER_TASK[group]) <= {row.family.name for row in task_families([group])} - core
