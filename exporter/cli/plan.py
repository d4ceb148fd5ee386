"""`plan`: whether so many tasks fit into the budget, and how large a scrape they make."""

from collections.abc import Iterator
from pathlib import Path

import click

from exporter.cli.options import BAD_USAGE, command, config_file, guide
from exporter.config.loader import load
from exporter.config.schema import VENDOR_MAX_QPS, Config, Polling
from exporter.config.times import format_duration
from exporter.scheduler.read_queue import SURE_SHARE
from exporter.service.plan import (
    ENDING,
    STARTING,
    TASKS_OF_NO_LIST,
    AccountPlan,
    Plan,
    ScrapeSize,
    account_plans,
    scrape_size,
)

_Row = tuple[str, str]

MOST = 1_000_000


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
    type=click.IntRange(1, MOST),
    help="Tasks that run at once. Without it those of static_configs, or 1000 when there are none.",
)
@click.option(
    "--starts-per-day", type=click.IntRange(0, MOST), default=0, show_default=True, help="Runs that start in a day."
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
        ("an end is seen within", f"{found.delay:.1f} s and the time of a call"),
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


def _table(rows: list[_Row]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"  {name:<{width}}{value}" for name, value in rows)
