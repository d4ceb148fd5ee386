"""`plan`: whether so many tasks fit into each account's budget, and how large a scrape they make."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click

from exporter.cli.options import BAD_USAGE, command, config_file, guide
from exporter.config.loader import load
from exporter.config.schema import VENDOR_MAX_QPS, Account, Config, Polling
from exporter.config.times import format_duration
from exporter.discovery.merge import accept
from exporter.discovery.sd_format import static_listing
from exporter.enums import Status
from exporter.metrics.families import task_families
from exporter.metrics.series_cache import render
from exporter.model.target import Target, TargetId
from exporter.model.task import EventNotify, MonitorIntervals, ReadResult, Task, VideoStream
from exporter.model.task_state import TaskState, apply_read
from exporter.scheduler.read_queue import (
    NEAR_DEADLINE,
    REREAD_SHARE,
    SURE_SHARE,
    PollIntervals,
    ReadClass,
    demand,
    stretch,
)
from exporter.service.settings import intervals

DAY = 86_400

STARTING = 60
"""Seconds for which a run is taken to be not started yet; the fast interval would hold for ten times that."""

ENDING = round(2 * NEAR_DEADLINE)
"""Seconds that a run which reaches its limit spends near it."""

MAX_INTERVAL = DAY
"""No task runs longer (API page, field MaxRunningTime), so that no longer interval could see one run."""

MAX_ACCOUNTS = 10_000
MAX_TASKS = 1_000_000

ClassCounts = Mapping[ReadClass | None, int]


@dataclass(frozen=True, slots=True)
class Load:
    """Tasks that run at once, and runs that start in a day, spread evenly over it."""

    tasks: int
    starts_per_day: int = 0

    @property
    def starting(self) -> int:
        """Tasks that are not started yet, at any moment."""
        return self.within(STARTING)

    def within(self, seconds: float) -> int:
        """Runs that start, or end, in so many seconds; rounded up."""
        return math.ceil(self.starts_per_day * seconds / DAY)

    def shared(self, shares: int) -> "list[Load]":
        """Split this load evenly into `shares` loads; the first ones are larger by one where it does not divide."""
        tasks, starts = _even_parts(self.tasks, shares), _even_parts(self.starts_per_day, shares)
        return [Load(*pair) for pair in zip(tasks, starts, strict=True)]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for a load, in calls a second and seconds.

    `interval` and `fast_interval` are those in force; `interval_with_rereads` is so while rereads of stopped targets
    take all they may, `rereads`. The `fitting_*` are the smallest with which, all else the same, nothing is stretched;
    None = there is none up to the vendor's rate or the longest run.
    """

    demand: float
    budget: float
    interval: float
    fast_interval: float
    rereads: float
    interval_with_rereads: float
    fitting_interval: int | None
    fitting_max_qps: int | None
    fitting_accounts: int | None
    fits: bool


def planned(load: Load, intervals: PollIntervals, budget: float) -> Plan:
    """Plan a load for one account with so many calls a second."""
    class_counts = _class_counts(load)
    slow, fast = _in_force(class_counts, intervals, budget)
    rereads = REREAD_SHARE * budget
    most_rereads = {**class_counts, ReadClass.REREAD: math.ceil(rereads * intervals.reread_stopped)}
    return Plan(
        demand=demand(class_counts, intervals),
        budget=budget,
        interval=slow,
        fast_interval=fast,
        rereads=rereads,
        interval_with_rereads=_in_force(most_rereads, intervals, budget)[0],
        fitting_interval=_smallest(
            MAX_INTERVAL, lambda seconds: _fits(class_counts, replace(intervals, interval=float(seconds)), budget)
        ),
        fitting_max_qps=_smallest(VENDOR_MAX_QPS, lambda calls: _fits(class_counts, intervals, calls)),
        fitting_accounts=_smallest(
            MAX_ACCOUNTS, lambda accounts: _fits(_class_counts(load.shared(accounts)[0]), intervals, budget)
        ),
        fits=_fits(class_counts, intervals, budget),
    )


def _class_counts(load: Load) -> ClassCounts:
    """How many targets are in each read class at any moment; those near their limit are of the running ones."""
    ending = min(load.tasks, load.within(ENDING))
    return {ReadClass.FAST: load.starting + ending, ReadClass.NORMAL: load.tasks - ending}


def _in_force(class_counts: ClassCounts, intervals: PollIntervals, budget: float) -> tuple[float, float]:
    """The normal and the fast interval, as stretched."""
    factors = stretch(class_counts, intervals, budget)
    fast = min(intervals.fast_interval, intervals.interval)
    return intervals.interval * factors.get(ReadClass.NORMAL, 1.0), fast * factors.get(ReadClass.FAST, 1.0)


def _fits(class_counts: ClassCounts, intervals: PollIntervals, budget: float) -> bool:
    return not stretch(class_counts, intervals, budget)


def _smallest(most: int, good: Callable[[int], bool]) -> int | None:
    """The first of 1 to `most` that is good, given that all after it are."""
    candidates = range(1, most + 1)
    place = bisect_left(candidates, x=True, key=good)
    return candidates[place] if place < most else None


def _even_parts(whole: int, shares: int) -> list[int]:
    each, left = divmod(whole, shares)
    return [each + (place < left) for place in range(shares)]


TASKS_OF_NO_LIST = 1_000
"""Tasks that are planned for without `--tasks` when `static_configs` lists none."""

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
"""One stream and all checks on (API page, "Response example")."""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account of the configuration, its load and its plan."""

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
        """Series of all tasks."""
        return self.tasks * self.series_per_task

    @property
    def size(self) -> int:
        """Bytes of all tasks, with HELP and TYPE of their families."""
        return self.tasks * self.bytes_per_task + self.bytes_of_headings


def account_plans(config: Config, tasks: int | None, starts_per_day: int) -> list[AccountPlan]:
    """The plan of each account. `tasks` None = as many as `static_configs` lists for it, or 1000 when it lists none."""
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
    """The size of the scrape of all accounts' tasks: those that start, run, or have stopped and linger."""
    linger = config.lifecycle.linger
    tracked = sum(each.load.tasks + each.load.starting + each.load.within(linger) for each in plans)
    families = task_families(config.metrics.groups, config.metrics.info_labels)
    text = b"".join(render(_typical(config), families))
    return ScrapeSize(
        tracked=tracked,
        tasks=min(tracked, config.metrics.max_tasks),
        series_per_task=text.count(b"\n"),
        bytes_per_task=len(text),
        bytes_of_headings=sum(len(row.family.heading(openmetrics=False)) for row in families),
    )


def _typical(config: Config) -> TaskState:
    """A running task: the first that `static_configs` lists, or a made-up one."""
    made_up = Target(TYPICAL_ID, config.accounts[0].name)
    target = next(iter(_static_targets(config)), made_up)
    reading = ReadResult(target.id, at=READ_AT + 0.123456, server_time=READ_AT, elapsed=0.1, outcome=TYPICAL_TASK)
    return apply_read(TaskState(target), reading)[0]


def _static_targets(config: Config) -> list[Target]:
    return list(accept([static_listing(config)], config.accounts).targets.values())


@command(
    short_help="Show whether so many tasks fit.",
    epilog=guide(
        "plan --config.file webcast-exporter.yml --tasks 1440 --starts-per-day 20000",
        exits={0: "it is shown, whether it fits or not", 2: BAD_USAGE},
        more={"The tasks of static_configs": "plan --config.file webcast-exporter.yml"},
    ),
)
@config_file()
@click.option(
    "--tasks",
    type=click.IntRange(1, MAX_TASKS),
    help="Tasks that run at once. Without it those of static_configs, or 1000 when there are none.",
)
@click.option(
    "--starts-per-day",
    type=click.IntRange(0, MAX_TASKS),
    default=0,
    show_default=True,
    help="Runs that start in a day.",
)
def plan(config_file: Path, tasks: int | None, starts_per_day: int) -> None:
    """Show whether so many tasks fit into the budget of calls, and how large a scrape they make.

    Makes no call and needs no credentials. Several accounts share --tasks and --starts-per-day evenly.
    """
    config = load(config_file)
    plans = account_plans(config, tasks, starts_per_day)
    for each in plans:
        click.echo(_account_block(each, config.polling))
    click.echo(_scrape_block(scrape_size(config, plans)))
    click.echo("\n".join(_assumptions(config, plans, tasks)))


def _account_block(each: AccountPlan, polling: Polling) -> str:
    load, found = each.load, each.plan
    rows = [
        ("running tasks", f"{load.tasks:,}"),
        ("starts a day", f"{load.starts_per_day:,}"),
        ("calls needed", f"{found.demand:.3f}/s"),
        ("budget (max_qps)", f"{found.budget:g}/s"),
        ("interval in force", _beside(found.interval, "interval", polling.interval)),
        ("... with most rereads", f"{found.interval_with_rereads:.1f} s, {found.rereads:.3f}/s for stopped targets"),
        ("fast interval in force", _beside(found.fast_interval, "fast_interval", polling.fast_interval)),
        ("an end is seen within", f"{found.interval:.1f} s and the time of a call"),
        ("polling.interval that fits", _fitting(found)),
    ]
    return f"account {each.account.name}\n{_table(rows)}\n  {_verdict(found)}\n"


def _beside(in_force: float, key: str, configured: float) -> str:
    return f"{in_force:.1f} s, polling.{key} is {format_duration(configured)}"


def _fitting(found: Plan) -> str:
    if found.fitting_interval is None:
        return "none: raise polling.fast_interval too"
    return f"{format_duration(found.fitting_interval)} or longer"


def _verdict(found: Plan) -> str:
    if found.fits:
        return "It fits: nothing is stretched."
    over = found.demand - found.budget
    what = f"Over the budget by {over:.3f}/s" if over > 0 else f"Over the {SURE_SHARE:.0%} of the budget that is sure"
    sentence = f"{what}: the intervals are stretched, nothing is skipped. To have it fit, one of:"
    return "\n    ".join([sentence, *_remedies(found)])


def _remedies(found: Plan) -> Iterator[str]:
    if found.fitting_interval is None:
        yield "raise polling.fast_interval: no polling.interval alone is long enough"
    else:
        yield f"raise polling.interval to {format_duration(found.fitting_interval)}"
    if found.fitting_accounts is not None:
        yield f"split the tasks over {found.fitting_accounts} accounts like this one"
    if found.fitting_max_qps is not None:
        yield f"raise max_qps to {found.fitting_max_qps}; your own services share the vendor's {VENDOR_MAX_QPS}/s"
    else:
        yield f"(max_qps alone cannot do it: the vendor allows {VENDOR_MAX_QPS}/s)"


def _scrape_block(size: ScrapeSize) -> str:
    without = size.tracked - size.tasks
    rows = [
        ("tasks with series", f"{size.tasks:,}" + (f", {without:,} without: metrics.max_tasks" if without else "")),
        ("series", f"{size.series:,} ({size.series_per_task} a task)"),
        ("bytes", f"{size.size:,} ({size.bytes_per_task:,} a task), before gzip"),
    ]
    return f"a scrape, all accounts together\n{_table(rows)}\n"


def _assumptions(config: Config, plans: list[AccountPlan], tasks: int | None) -> Iterator[str]:
    yield "Assumed:"
    if tasks is None:
        yield f"  without --tasks: as many as static_configs lists, or {TASKS_OF_NO_LIST:,} when it lists none"
    if len(plans) > 1:
        yield f"  tasks that no list gives to an account, and starts, are shared evenly over {len(plans)} accounts"
    if any(each.load.starts_per_day for each in plans):
        yield f"  each run is read at the fast interval for {STARTING} s before it runs and {ENDING} s around its limit"
        yield f"  its series stay for {format_duration(config.lifecycle.linger)} (lifecycle.linger) after its end"
    yield "  no call fails; stopped targets that are still listed take no more than a tenth of the budget"
    yield "  the exporter's own and the fleet's series, a few hundred, come on top"


def _table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"  {name:<{width}}{value}" for name, value in rows)
