"""What pages, JSON and commands ask: of the running exporter, and of a state file without one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from exporter.config.schema import Config
from exporter.discovery.merge import AccountOf
from exporter.enums import Rejection, Source
from exporter.errors import StartError
from exporter.metrics.self_metrics import AccountNumbers
from exporter.metrics.task_history import TaskHistory
from exporter.model.target import TargetId
from exporter.model.task_state import Lifetimes, NextRead, TaskState
from exporter.service.components import Components
from exporter.service.target_manager import TargetManager
from exporter.store.database import reading_file
from exporter.store.run_table import FoundRuns, RunQuery, stopped_runs
from exporter.volcengine.error_mapping import UnknownCode
from exporter.web.interfaces import JobRow, Reload
from exporter.web.serializers import run_json


def runs_in_state(config: Config, wanted: RunQuery) -> Iterator[dict[str, Any]]:
    """Every stopped run that matches, `wanted.limit` in one query. StartError when the state cannot be read."""
    if config.state.url.path is None:
        raise StartError("the state is no file: ask the running exporter, with --url")
    account_of = AccountOf(config.accounts)
    with reading_file(config.state.url.path) as connection:
        while True:
            found = stopped_runs(connection, wanted)
            for run, labels in zip(found.runs, found.labels, strict=True):
                yield run_json(run, account_of(run.target.app_id), labels)
            if found.next is None:
                return
            wanted = wanted._replace(after=found.next)


class Queries:
    """Read-only queries of the running exporter. `reload` is set by the exporter at each load."""

    def __init__(self, components: Components, target_manager: TargetManager) -> None:
        self._components = components
        self._targets = target_manager
        self.reload: Reload | None = None

    @property
    def now(self) -> float:
        """The wall clock, Unix seconds."""
        return self._components.clock.unix()

    @property
    def lifetimes(self) -> Lifetimes:
        """How long things are kept and waited for."""
        return self._components.registry.lifetimes

    def task_state(self, target: TargetId) -> TaskState | None:
        """The state of a target, None when it is not tracked."""
        return self._components.registry.get(target)

    def next_read(self, state: TaskState) -> NextRead | None:
        """When a target will be read next; None while no account reads it."""
        poller = self._components.pollers.by_account.get(state.target.account)
        return poller.next_read(state.target.id) if poller else None

    def history(self, target: TargetId) -> TaskHistory:
        """Return a target's last reads and changes."""
        return self._components.history.of(target)

    def has_series(self, target: TargetId) -> bool:
        """Whether the next scrape shows it."""
        return self._components.series_cache.has_series(target)

    def account_of(self, app_id: str) -> str | None:
        """Which account reads an app; None when no account does."""
        return AccountOf(self._targets.config.accounts)(app_id)

    def stopped_runs(self, wanted: RunQuery) -> FoundRuns:
        """Runs that have stopped; StateError when the state cannot be read now."""
        return self._components.store.search(lambda connection: stopped_runs(connection, wanted))

    def accounts(self) -> Mapping[str, AccountNumbers]:
        """What each account's polling says of itself."""
        return self._components.pollers.numbers()

    def unknown_codes(self) -> Mapping[str, Sequence[UnknownCode]]:
        """Each account's API error codes that the vendor does not document, the latest first."""
        pollers = self._components.pollers.by_account
        return {name: poller.account.client.unknown_codes() for name, poller in pollers.items()}

    def jobs(self) -> Sequence[JobRow]:
        """The periodic jobs of the scheduler, by name."""
        return [
            JobRow(job.name, job.interval, job.last_run, job.duration, job.next_run, job.errors)
            for job in self._components.scheduler.jobs()
        ]

    def by_source(self) -> Mapping[Source, int]:
        """How many targets each source lists."""
        return self._targets.by_source

    def rejected(self) -> Mapping[Rejection, int]:
        """How many listed entries are not accepted."""
        return self._targets.rejected
