"""Exporter, first row: whether the numbers can be trusted."""

from dashboards.source.fields import (
    ALARM,
    SOME_ALARM,
    UP_DOWN,
    WARNING,
    WHEN,
    Column,
    in_color,
)
from dashboards.source.frame import Row
from dashboards.source.panels import Query, Size, stat, table
from dashboards.source.queries import ACCOUNT, EXPORTER, grown, total, zero_of
from dashboards.source.words import Word
from exporter.model.task_state import DisplayStatus

TILE = Size(3, 4)
IN_FORCE = {"0": Word("REFUSED", "red"), "1": Word("in force", "green")}
GOOD_IF_ONE = ((0, "red"), (1, "green"))
RATES = ACCOUNT("webcast_api_rate_limit_requests_per_second", kind="configured")
OLDEST_DUE = ACCOUNT("webcast_poll_oldest_due_timestamp_seconds")
LATE = f"timestamp({OLDEST_DUE}) - {OLDEST_DUE}"
"""As of each scrape: since then the read may have been made."""


def _by_instance(name: str) -> str:
    return f"max by (instance) ({EXPORTER(name)})"


ROW = Row(
    "Can the numbers be trusted?",
    [
        stat(
            "Exporter",
            TILE,
            Query(f"min({EXPORTER('up')})"),
            steps=GOOD_IF_ONE,
            words=UP_DOWN,
            loud=True,
        ),
        stat(
            "Vendor API",
            TILE,
            Query(f"min({ACCOUNT('webcast_api_up')})"),
            steps=GOOD_IF_ONE,
            words=UP_DOWN,
            loud=True,
        ),
        stat(
            "Reading",
            TILE,
            Query(total(EXPORTER("webcast_exporter_leader"))),
            steps=GOOD_IF_ONE,
            words={"0": Word("NOBODY", "red")},
            loud=True,
        ),
        stat(
            "Stale tasks",
            TILE,
            Query(total(ACCOUNT("webcast_tasks", status=DisplayStatus.STALE))),
            steps=ALARM,
            loud=True,
        ),
        stat(
            "Oldest due read",
            TILE,
            Query(zero_of(f"max({LATE})", f"max({RATES})")),
            steps=((0, "green"), (30, "orange"), (120, "red")),
            unit="s",
            loud=True,
        ),
        stat(
            "Configuration",
            TILE,
            Query(f"min({EXPORTER('webcast_exporter_config_last_reload_successful')})"),
            steps=GOOD_IF_ONE,
            words=IN_FORCE,
            loud=True,
        ),
        stat(
            "Failed writes",
            TILE,
            Query(grown(EXPORTER("webcast_state_write_failures_total"))),
            steps=SOME_ALARM,
            loud=True,
        ),
        stat(
            "Without series",
            TILE,
            Query(total(EXPORTER("webcast_tasks_without_series"))),
            steps=WARNING,
            loud=True,
        ),
        table(
            "Exporters",
            Size(24, 5),
            Query(_by_instance("up")),
            Query(f"max by (instance, version, python_version) ({EXPORTER('webcast_exporter_build_info')})"),
            Query(_by_instance("webcast_exporter_leader")),
            Query(f"1000 * {_by_instance('process_start_time_seconds')}"),
            Query(_by_instance("webcast_exporter_config_last_reload_successful")),
            Query(f"1000 * {_by_instance('webcast_exporter_config_last_reload_success_timestamp_seconds')}"),
            columns=[
                Column("instance", "Instance"),
                Column("A", "Scraped", in_color(UP_DOWN, 100)),
                Column("C", "Role", in_color({"0": Word("standby", "blue"), "1": Word("reads", "green")}, 100)),
                Column("version", "Version"),
                Column("python_version", "Python"),
                Column("D", "Started", WHEN),
                Column("E", "Configuration", in_color(IN_FORCE, 130)),
                Column("F", "Loaded", WHEN),
            ],
            none="No exporter is known",
            sort="Instance",
            rising=True,
            hidden=["Value #B"],
        ),
    ],
)
