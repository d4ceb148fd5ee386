"""The promised metrics, written down once more as in docs/behaviour.md, against the catalog."""

import pytest

from exporter.metrics.families import Group, task_families
from exporter.metrics.fleet import FLEET
from exporter.metrics.self_metrics import EXPORTER

PER_TASK = """
webcast_task_read_success core
webcast_task_read_error core reason
webcast_task_last_successful_read_timestamp_seconds core
webcast_task_status core status
webcast_task_start_timestamp_seconds core
webcast_task_end_timestamp_seconds core
webcast_task_duration_seconds core
webcast_task_max_running_time_seconds core
webcast_task_stop_reason core reason
webcast_task_problem core problem cause
webcast_task_problem_since_timestamp_seconds core problem
webcast_task_expected_start_timestamp_seconds core
webcast_task_expected_end_timestamp_seconds core
webcast_task_info core account user_id source_host
webcast_task_page_refreshes_total core
webcast_task_page_reschedules_total core
webcast_task_last_page_event_timestamp_seconds core event reason
webcast_task_monitor_interval_seconds monitor check
webcast_task_video_width_pixels video stream
webcast_task_video_height_pixels video stream
webcast_task_video_frames_per_second video stream
webcast_task_video_max_bytes_per_second video stream
webcast_task_event_notify_enabled event_notify
webcast_task_start_event_timeout_seconds event_notify
"""
"""Name, group, labels beside those of the target."""

OTHERS = """
webcast_tasks gauge account app_id status
webcast_problem_tasks gauge account app_id problem
webcast_tasks_without_series gauge
webcast_run_stops_total counter app_id reason
webcast_run_ends_unseen_total counter app_id
webcast_run_transitions_total counter app_id status
webcast_run_duration_seconds histogram app_id status 10 60 300 600 1800 3600 7200 14400 28800 43200 64800 86400 90000
webcast_run_end_detection_delay_seconds histogram app_id 1 2.5 5 10 15 30 60 120 300 900 3600 21600 86400 172800
webcast_page_refreshes_total counter app_id reason
webcast_page_reschedules_total counter app_id reason
webcast_api_up gauge account
webcast_api_requests_total counter account
webcast_api_request_failures_total counter account reason
webcast_api_request_duration_seconds histogram account 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10
webcast_api_rate_limit_requests_per_second gauge account kind
webcast_api_throttle_wait_seconds_total counter account
webcast_api_unexpected_values_total counter field
webcast_api_clock_skew_seconds gauge account
webcast_poll_demand_requests_per_second gauge account
webcast_poll_oldest_due_timestamp_seconds gauge account
webcast_targets gauge source
webcast_targets_rejected gauge reason
webcast_discovery_failures_total counter source config
webcast_discovery_last_success_timestamp_seconds gauge source config
webcast_callback_events_total counter outcome
webcast_state_write_failures_total counter
webcast_state_changes_dropped_total counter
webcast_state_oldest_queued_timestamp_seconds gauge
webcast_exporter_config_last_reload_successful gauge
webcast_exporter_config_last_reload_success_timestamp_seconds gauge
webcast_exporter_leader gauge
webcast_exporter_build_info gauge version revision python_version
"""
"""Name, type, labels, and a histogram's buckets."""


def test_every_promise_of_a_task_is_kept() -> None:
    """Per-task families are in their groups with their labels; there may be more."""
    rows = {" ".join((row.family.name, row.group, *row.family.labels[3:])) for row in task_families(Group)}
    assert set(PER_TASK.strip().splitlines()) <= rows


def test_every_other_promise_is_kept() -> None:
    """Type, labels and buckets of each promised family; there may be more families."""
    rows = {
        " ".join((row.name, row.kind, *row.labels, *(f"{bound:g}" for bound in row.buckets)))
        for row in (*FLEET, *EXPORTER)
    }
    assert set(OTHERS.strip().splitlines()) <= rows


@pytest.mark.parametrize("group", ["monitor", "video", "event_notify"])
def test_core_is_always_there_and_a_group_only_when_it_is_named(group: str) -> None:
    """`metrics.groups` names what is served beside `core`."""
    core = {row.family.name for row in task_families([])}
    promised = {line.split()[0] for line in PER_TASK.strip().splitlines() if line.split()[1] == group}
    assert promised
    assert promised <= {row.family.name for row in task_families([group])} - core
