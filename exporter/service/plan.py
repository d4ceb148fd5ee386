"""What the command `plan` tells: each account's load against its budget, and how large a scrape becomes."""

from collections import Counter
from dataclasses import dataclass, replace

from exporter.config.accounts import Account
from exporter.config.schema import Config
from exporter.discovery.merge import accept
from exporter.discovery.sd_format import static_listing
from exporter.enums import Status
from exporter.metrics.catalog.task import task_families
from exporter.metrics.render import heading, render
from exporter.model.read_result import ReadResult
from exporter.model.target import Target, TargetId
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.model.task_state import TaskState, apply_read
from exporter.scheduler.plan import Load, Plan, planned
from exporter.service.accounts import intervals

TASKS_OF_NO_LIST = 1_000
"""Tasks that are planned for when nobody says how many and `static_configs` lists none."""

READ_AT = 1_768_465_805.0
TYPICAL_ID = TargetId("661e0000000000000000543c", "class-20260115-0830", "webcast-20260115-0830")
TYPICAL_TASK = Task(
    Status.RUNNING,
    start=READ_AT - 1_800.5,
    user_id="webcast_20260115_0830",
    source_host="classroom.example.com",
    max_running_time=7_200,
    video=(VideoStream(width=1280, height=720, frames_per_second=15, max_bytes_per_second=0),),
    monitor=MonitorIntervals(freeze=5, blank=5, crash=5),
    event_notify=EventNotify(enabled=True, start_timeout=10),
)
"""One stream and all checks on (seed page, "Response example")."""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account of the configuration, what it is to read, and what comes of it."""

    account: Account
    load: Load
    plan: Plan


@dataclass(frozen=True, slots=True)
class ScrapeSize:
    """The per-task part of one scrape, uncompressed. `tasks` are those with series, of `tracked` in all."""

    tracked: int
    tasks: int
    series_per_task: int
    bytes_per_task: int
    bytes_of_headings: int

    @property
    def series(self) -> int:
        """Of all tasks."""
        return self.tasks * self.series_per_task

    @property
    def size(self) -> int:
        """Bytes of all tasks, with HELP and TYPE of their families."""
        return self.tasks * self.bytes_per_task + self.bytes_of_headings


def account_plans(config: Config, tasks: int | None, starts_per_day: int) -> list[AccountPlan]:
    """One a configured account. `tasks` None = as many as `static_configs` lists for it, or 1000 when it lists none."""
    loads = Load(TASKS_OF_NO_LIST if tasks is None else tasks, starts_per_day).shared(len(config.accounts))
    listed = Counter(target.account for target in _static_targets(config))
    if tasks is None and listed:
        loads = [
            replace(load, tasks=listed[account.name]) for load, account in zip(loads, config.accounts, strict=True)
        ]
    return [
        AccountPlan(account, load, planned(load, intervals(config), account.max_qps))
        for account, load in zip(config.accounts, loads, strict=True)
    ]


def scrape_size(config: Config, plans: list[AccountPlan]) -> ScrapeSize:
    """What all accounts' tasks make of a scrape: those that start, run, or have stopped and linger."""
    linger = config.lifecycle.linger
    tracked = sum(each.load.tasks + each.load.starting + each.load.within(linger) for each in plans)
    families = task_families(config.metrics.groups, config.metrics.info_labels)
    text = b"".join(render(_typical(config), families))
    return ScrapeSize(
        tracked=tracked,
        tasks=min(tracked, config.metrics.max_tasks),
        series_per_task=text.count(b"\n"),
        bytes_per_task=len(text),
        bytes_of_headings=sum(len(heading(row.family, openmetrics=False)) for row in families),
    )


def _typical(config: Config) -> TaskState:
    """A running task: the first that `static_configs` lists, or a made-up one."""
    made_up = Target(TYPICAL_ID, config.accounts[0].name)
    target = next(iter(_static_targets(config)), made_up)
    reading = ReadResult(target.id, at=READ_AT + 0.123456, server_time=READ_AT, elapsed=0.1, outcome=TYPICAL_TASK)
    return apply_read(TaskState(target), reading)[0]


def _static_targets(config: Config) -> list[Target]:
    return list(accept([static_listing(config)], config.accounts).targets.values())
