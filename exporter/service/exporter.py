"""The composition root: makes, starts, reloads and stops the exporter; only this module knows every part."""

from collections.abc import Callable, Mapping
from functools import partial
from threading import Event

import structlog

from exporter.config.loader import warnings
from exporter.config.schema import Config
from exporter.discovery.merge import AccountOf
from exporter.errors import ConfigError, Problem, StartError, StateError
from exporter.metrics.series_cache import TaskCountKey
from exporter.model.clock import Clock
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task_state import TaskState
from exporter.service.callbacks import CallbackIntake, CallbackListener
from exporter.service.components import Components
from exporter.service.push import PushApi
from exporter.service.queries import Queries
from exporter.service.settings import Settings, info_labels, with_same_state
from exporter.service.standby import WATCH_FILES_INTERVAL, StandbyQueueWorker
from exporter.service.stored_lists import Secrets, secrets_of
from exporter.service.target_manager import TargetManager, log_problems, resumable_targets
from exporter.store.database import Database
from exporter.store.store import MIN_HISTORY
from exporter.volcengine.rate_limiter import RateCap, RateLimiter, no_cap
from exporter.web.auth import CurrentPolicy
from exporter.web.interfaces import Reload

log = structlog.stdlib.get_logger(__name__)

QUEUE_INTERVAL = 0.5
"""Seconds between two looks for what standbys have accepted."""
EXPIRE_INTERVAL = 0.25
"""Seconds between two looks at what has fallen due with time alone."""
HOUSEKEEPING_INTERVAL = 60.0
SWEEP = 1.0
"""Seconds between two looks for targets whose listing has ended by itself."""


class Exporter:
    """One exporter over one open state.

    `load_config` reads the configuration anew, or raises ConfigError; `config` is what it gave first. `exposition` is
    what is served, `push` receives what is pushed and `callbacks` what the vendor calls back; `queries` is for people.
    `flags` are the command line's, to be shown; `policy` is the web config file's, for the listener of callbacks;
    `rate_cap` makes of a rate the one that is allowed now. `leads`, with a standby, says whether this process surely
    leads: while it does not, the series of tasks and fleet are not served. `look_at_files` looks at files of the
    command line; `lease_answered_at` is shown.
    """

    def __init__(
        self,
        config: Config,
        load_config: Callable[[], Config],
        environ: Mapping[str, str],
        database: Database,
        clock: Clock,
        *,
        flags: Mapping[str, str] | None = None,
        policy: CurrentPolicy | None = None,
        rate_cap: RateCap = no_cap,
        leads: Callable[[], bool] | None = None,
        look_at_files: Callable[[Config], None] = lambda _: None,
        lease_answered_at: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.config = config
        self.secrets: Secrets = {}
        self.flags = flags or {}
        self.started_at = clock.unix()
        self._load_config = load_config
        self._clock = clock
        self._leads = leads
        self._look_at_files = look_at_files
        self._started = False
        self._ready = False
        self._stopping = Event()
        new_rate_limiter = partial(RateLimiter, clock=clock.monotonic, sleep=self._stopping.wait, rate_cap=rate_cap)
        self._components = components = Components(
            Settings.of(config),
            environ,
            database,
            clock,
            new_rate_limiter=new_rate_limiter,
            labels_of=self._info_labels,
            leads=leads,
        )
        self.self_metrics, self.exposition = components.self_metrics, components.exposition
        self.failed = components.failed
        self._scheduler = components.scheduler
        self.self_metrics.hung_jobs = self._scheduler.hung_jobs
        self.self_metrics.lease_answered_at = lease_answered_at
        self._targets = TargetManager(components, self._scheduler)
        self.queries = Queries(components, self._targets)
        self.push = PushApi(components, self._targets)
        self.callbacks = CallbackIntake(components, self._targets)
        self.queue_worker = StandbyQueueWorker(components, self.push, self.callbacks)
        self._callback_listener = CallbackListener(self, self.failed, policy or CurrentPolicy())

    def start(self) -> None:
        """Begin to read; ConfigError when an account cannot call, StartError when the state's runs cannot be read."""
        with self._targets.changing:
            self._apply(self.config)
        self._loaded()
        self.self_metrics.leader.set_function(lambda: 1.0 if self._leads is None else float(self._leads()))
        if self.config.state.url.is_shared:
            self._scheduler.every("standby-queue", QUEUE_INTERVAL, self.queue_worker.apply)
        self._scheduler.every("expire", EXPIRE_INTERVAL, self._expire, vital=True)
        self._scheduler.every("watch-files", WATCH_FILES_INTERVAL, self._watch_files)
        self._scheduler.every("housekeeping", HOUSEKEEPING_INTERVAL, self._housekeep)
        self._scheduler.start()
        self._started = True

    def stop(self) -> None:
        """Stop within about a second: calls in flight are broken off, and what was read is in the state."""
        self._callback_listener.close()
        self._scheduler.stop()
        self._targets.close()
        self._components.pollers.stop()  # first, so that calls woken by the next line are no failures
        self._stopping.set()
        self._components.store.close()

    def reload(self) -> None:
        """Put the configuration as it now stands in force, all of it or, with ConfigError, nothing."""
        with self._targets.changing:
            try:
                self._apply(with_same_state(self.config, self._load_config()))
            except Exception as error:  # the edge of a reload: whatever breaks, the old one serves on
                self.self_metrics.reload_successful.set(0)
                self.queries.reload = Reload(good=False, at=self._clock.unix())
                problems = self._as_config_error(error)
                log.error("configuration not reloaded", error=str(problems))
                raise problems from error
            self._loaded()
            log.info("configuration reloaded", targets=len(self._components.registry))

    @property
    def not_ready(self) -> str:
        """Why it cannot serve yet; empty once it can, and for good."""
        if not self._ready:
            self._ready = self._started and self._targets.tried_all
        return "" if self._ready else "Not every source of targets has been tried yet."

    def counts(self) -> Mapping[TaskCountKey, int]:
        """How many tasks count under which labels of `webcast_tasks`."""
        return self._components.series_cache.counts()

    def dismiss(self, target: TargetId) -> bool:
        """Remove a stopped or dark task by hand, until it runs again; False when it is not tracked."""
        return self._components.registry.dismiss(target)

    def tracked(self) -> list[TaskState]:
        """The state of every target."""
        return self._components.registry.all()

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return max(0.0, self._clock.unix() - self.started_at)

    @property
    def alive(self) -> bool:
        """Whether every vital job has ended lately, and threads can be had for reads."""
        pollers = self._components.pollers.by_account.values()
        return self._scheduler.alive and all(poller.alive for poller in pollers)

    @property
    def state_lost(self) -> str:
        """Why the state is not this process's any more; empty while it is."""
        return self._components.store.lost

    def watch(self) -> None:
        """Help the scheduler over a wall clock that was set back, and report jobs that hang and a silent state."""
        self._scheduler.nudge()
        self._scheduler.watch()
        self._components.store.watch()

    def _apply(self, config: Config) -> None:
        components, settings = self._components, Settings.of(config)
        accounts = components.pollers.plan(config)
        sources = self._targets.plan(config)
        secrets = secrets_of(config)
        listener = self._callback_listener.plan(settings.callback_address)
        # From here on nothing can fail.
        self.config, self.secrets = config, secrets
        components.registry.reconfigure(settings.lifetimes, settings.thresholds)
        components.pollers.swap(config, accounts)
        components.series_cache.reconfigure(settings.families, config.metrics.max_tasks)
        components.registry.open_apps(app_id for account in config.accounts for app_id in account.app_ids)
        components.stored_lists.swap(secrets)
        self._targets.swap(config, sources)
        if secrets:
            self._scheduler.every("expire-listings", SWEEP, self.push.sweep)
        else:
            self._scheduler.cancel("expire-listings")
        self._callback_listener.swap(listener)
        log_problems(warnings(config))
        if not self._started:
            self._resume(components.store.live_runs())
        self._targets.apply()

    def _info_labels(self, target: TargetId) -> Mapping[str, str]:
        state = self._components.registry.get(target)
        return {} if state is None else info_labels(state.target, self.config)

    def _resume(self, remembered: Mapping[TargetId, Run]) -> None:
        """Go on with what the last process was reading; what no source lists is released once all have answered."""
        dark = self._components.registry.resume(AccountOf(self.config.accounts))
        drained = self._components.drains.left(self.config)
        remembered = {**remembered, **self._components.store.latest_runs({*dark, *drained})}
        live = {target.id: target for target in resumable_targets(self.config, remembered)}
        live |= dark | {target: each.target for target, each in drained.items()}
        self._components.registry.change_targets(live, (), remembered)
        self._components.registry.resume_drains({target: each.until for target, each in drained.items()})

    def _as_config_error(self, error: Exception) -> ConfigError:
        """What went wrong with a reload, as problems to be shown."""
        if isinstance(error, ConfigError):
            return error
        if isinstance(error, StartError | StateError):
            return ConfigError([Problem("", str(error))])
        self.failed("reload", error)
        return ConfigError([Problem("", "the reload failed inside; the log says more")])

    def _loaded(self) -> None:
        self.self_metrics.reload_successful.set(1)
        self.self_metrics.reload_timestamp.set(self._clock.unix())
        self.queries.reload = Reload(good=True, at=self._clock.unix())

    def _expire(self) -> None:
        gone = self._components.registry.expire()
        self._components.pollers.forget(gone)
        self._components.drains.keep({target: self._components.registry.get(target) for target in gone})
        self._components.pollers.close_retired()

    def _watch_files(self) -> None:
        self._look_at_files(self.config)
        self._components.pollers.refresh_credentials()
        for secrets in tuple(self.secrets.values()):
            secrets.refresh()

    def _housekeep(self) -> None:
        if not self._components.registry.clock_is_proven:
            return  # a clock that is days ahead would have everything forgotten, and counted again
        kept = max(self.config.lifecycle.history, MIN_HISTORY)
        self._components.store.forget_before(self._components.registry.now() - kept)
        self._components.drains.forget_all_but(self._components.registry.all())
        self.callbacks.forget()
