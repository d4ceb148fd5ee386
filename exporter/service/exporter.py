"""The exporter: started, reloaded and stopped; all that the pages see of it."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from threading import Event

from exporter.config.checks import warnings
from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem, StartError, StateError
from exporter.metrics.series_cache import TaskCountKey
from exporter.model.clock import Clock
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task_state import TaskState
from exporter.scheduler.scheduler import Scheduler
from exporter.service.callback_listener import CallbackListener
from exporter.service.callbacks import CallbackIntake
from exporter.service.components import make_parts
from exporter.service.push import PushApi
from exporter.service.queries import Queries
from exporter.service.queue_worker import StandbyQueueWorker
from exporter.service.settings import (
    callback_address,
    info_labels_of,
    lifetimes,
    problem_thresholds,
    shown,
    task_families_of,
    with_state_of,
)
from exporter.service.target_manager import TargetManager, left_live, log_problems
from exporter.store.database import Database
from exporter.store.store import LONGEST_LOOK_BACK
from exporter.volcengine.rate_limiter import RateCap, RateLimiter, unrestrained
from exporter.web.app import create_callback_app
from exporter.web.auth import CurrentPolicy, open_policy
from exporter.web.interfaces import Reload

log = logging.getLogger(__name__)

QUEUE_INTERVAL = 0.5
"""Seconds between two looks for what standbys have accepted."""
SWEEP = 1.0
"""Seconds between two looks for targets whose listing has ended by itself."""


class Exporter:
    """One exporter over one open state.

    `load_config` reads the configuration anew, or raises ConfigError; `config` is what it gave first. `exposition` is
    what is served, `push` takes in what is pushed and `callbacks` what the vendor calls back; `queries` is for people.
    `flags` are the command line's, to be shown; `policy` is the web config file's, for the listener of callbacks;
    `restrain` makes of a rate the one that is allowed now. `leads`, with a standby, says whether this process surely
    leads: while it does not, the series of tasks and fleet are not served.
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
        policy: CurrentPolicy = open_policy,
        restrain: RateCap = unrestrained,
        leads: Callable[[], bool] | None = None,
    ) -> None:
        self.config = config
        self.flags = flags or {}
        self.started_at = clock.unix()
        self._load_config = load_config
        self._clock = clock
        self._leads = leads
        self._started = False
        self._ready = False
        self._stopping = Event()
        new_pacer = partial(RateLimiter, clock=clock.monotonic, sleep=self._stopping.wait, restrain=restrain)
        self._parts = parts = make_parts(config, environ, database, clock, new_pacer, leads=leads)
        self.self_metrics, self.exposition, self.failed = parts.self_metrics, parts.exposition, parts.failed
        self._dispatcher = Scheduler(self._beat, self._housekeep, self._count_event, clock.monotonic)
        self._targets = TargetManager(parts, self._dispatcher)
        self.queries = Queries(parts, self._targets)
        self.push = PushApi(parts, self._targets.carry_out)
        self.callbacks = CallbackIntake(parts, self._targets.carry_out)
        self._queue_worker = StandbyQueueWorker(parts, self.push, self.callbacks)
        self._door = CallbackListener(lambda: create_callback_app(self, self.failed, policy), self.failed, policy)

    def start(self) -> None:
        """Begin to read; ConfigError when an account cannot call, StartError when the state's runs cannot be read."""
        with self._targets.changing:
            self._apply(self.config)
        self._loaded()
        self.self_metrics.leader.set_function(lambda: 1.0 if self._leads is None else float(self._leads()))
        if self.config.state.url.is_shared:
            self._dispatcher.every("standby-queue", QUEUE_INTERVAL, self.apply_standby_queue)
        self._dispatcher.start()
        self._started = True

    def stop(self) -> None:
        """End within moments: calls in flight are broken off, what was learnt is in the state."""
        self._door.close()
        self._dispatcher.stop()
        self._targets.close()
        self._parts.desks.stop()  # before the waiting calls are woken, so that none of them is taken for a failure
        self._stopping.set()
        self._parts.store.close()

    def reload(self) -> None:
        """Put the configuration as it now stands in force, all of it or, with ConfigError, nothing."""
        with self._targets.changing:
            try:
                self._apply(with_state_of(self.config, self._load_config()))
            except Exception as error:  # the edge of a reload: whatever breaks, the old one serves on
                self.self_metrics.reload_successful.set(0)
                self.queries.reload = Reload(good=False, at=self._clock.unix())
                bad = self._explained(error)
                log.error("the configuration is not reloaded, the old one stays: %s", bad)  # noqa: TRY400 - a sentence
                raise bad from error
            self._loaded()
            log.info("configuration reloaded: %d targets", len(self._parts.registry))

    @property
    def not_ready(self) -> str:
        """Why it cannot serve yet; empty once it can, and for good."""
        if not self._ready:
            self._ready = self._started and self._targets.tried_all
        return "" if self._ready else "Not every list of targets has been asked for yet."

    def counts(self) -> Mapping[TaskCountKey, int]:
        """How many tasks count under which labels of `webcast_tasks`."""
        return self._parts.board.counts()

    def dismiss(self, target: TargetId) -> bool:
        """Remove a stopped or dark task by hand, until it runs again; False when it is not tracked."""
        return self._parts.registry.dismiss(target)

    def tracked(self) -> list[TaskState]:
        """What is known of every target."""
        return self._parts.registry.all()

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return max(0.0, self._clock.unix() - self.started_at)

    @property
    def alive(self) -> bool:
        """Whether the dispatcher has moved lately."""
        return self._dispatcher.alive

    @property
    def state_lost(self) -> str:
        """Why the state is not this process's any more; empty while it is."""
        return self._parts.store.lost

    def nudge(self) -> None:
        """Help the dispatcher over a wall clock that was set back, and report a state that is silent."""
        self._dispatcher.nudge()
        self._parts.store.watch()

    def apply_standby_queue(self) -> None:
        """Apply what standbys have accepted."""
        self._queue_worker.apply()

    def _apply(self, config: Config) -> None:
        parts = self._parts
        plans = parts.desks.plan(config)
        sources = self._targets.plan(config)
        secrets = parts.kept.plan(config)
        door = self._door.plan(callback_address(config))
        # From here on nothing can fail.
        parts.registry.reconfigure(lifetimes(config), problem_thresholds(config))
        parts.store.labels_of = info_labels_of(config, parts.registry.get)
        parts.desks.swap(config, plans)
        if shown(config) != shown(self.config):
            parts.board.reconfigure(task_families_of(config), config.metrics.max_tasks)
        parts.registry.open_apps(app_id for account in config.accounts for app_id in account.app_ids)
        self.config = config
        parts.kept.secrets = secrets
        self._targets.swap(config, sources)
        self.callbacks.config = config.callbacks
        self._sweep_kept()
        self._door.swap(door)
        log_problems(warnings(config))
        if not self._started:
            self._take_up(parts.store.live_runs())
        self._targets.apply()

    def _take_up(self, remembered: Mapping[TargetId, Run]) -> None:
        """What the last process was reading, to be let go unless a source lists it: each live run is accounted for."""
        self._parts.registry.resume_dark_classes()
        drained = self._parts.drains.left(self.config)
        remembered = {**remembered, **self._parts.store.latest_runs(drained)}
        live = {target.id: target for target in left_live(self.config, remembered)}
        live |= {target: each.target for target, each in drained.items()}
        self._targets.adopt(live, remembered)
        self._parts.registry.resume_drains({target: each.until for target, each in drained.items()})

    def _sweep_kept(self) -> None:
        if self._parts.kept.secrets:
            self._dispatcher.every("kept lists", SWEEP, self.push.sweep)
        else:
            self._dispatcher.cancel("kept lists")

    def _explained(self, error: Exception) -> ConfigError:
        """What went wrong with a reload, in words for whoever asked for it."""
        if isinstance(error, ConfigError):
            return error
        if isinstance(error, StartError | StateError):
            return ConfigError([Problem("", str(error))])
        self.failed("the reload", error)
        return ConfigError([Problem("", "the reload failed inside; the log says more")])

    def _loaded(self) -> None:
        self.self_metrics.reload_successful.set(1)
        self.self_metrics.reload_timestamp.set(self._clock.unix())
        self.queries.reload = Reload(good=True, at=self._clock.unix())

    def _beat(self) -> None:
        self._parts.desks.hand_out()
        gone = self._parts.registry.expire()
        self._parts.desks.forget(gone, self._parts.registry)
        self._parts.history.forget(gone)
        self._parts.drains.keep({target: self._parts.registry.get(target) for target in gone})

    def _housekeep(self) -> None:
        kept = max(self.config.lifecycle.history, LONGEST_LOOK_BACK)
        self._parts.store.forget_before(self._clock.unix() - kept)
        self._parts.drains.forget_all_but(self._parts.registry.all())
        self.callbacks.forget()

    def _count_event(self, event: str) -> None:
        self.self_metrics.scheduler_events.labels(event).inc()
