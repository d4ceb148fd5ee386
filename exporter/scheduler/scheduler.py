"""Every periodic job, in one table, driven by APScheduler.

One job reads for each account, rather than one job for each target: 20,000 jobs would do (3.5 % of a core at 48 reads
a second), but not in the order that docs/behaviour.md promises. What is read when is the read queue's business.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock, get_ident

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from exporter.metrics.self_metrics import SelfMetrics
from exporter.model.clock import Clock

log = structlog.stdlib.get_logger(__name__)

LATE = 5.0
"""Seconds beyond its interval after which a vital job that has not ended makes `/-/healthy` fail."""

HUNG_AFTER = 5.0
"""Seconds after which a run that has not ended is reported; what a job waits for does not answer."""

VITAL, OTHERS = "default", "others"
MAX_VITAL_THREADS = 256
"""Threads for vital jobs: two an account, made when they are needed."""
MAX_OTHER_THREADS = 16
"""Threads for jobs that may wait for the network or the disk."""

EVENTS = {EVENT_JOB_ERROR: "error", EVENT_JOB_MAX_INSTANCES: "max_instances", EVENT_JOB_MISSED: "missed"}


class Every(BaseTrigger):  # type: ignore[misc]  # the library ships no types
    """Fires every so many seconds; what was missed, it fires once.

    APScheduler's own interval trigger walks every missed time: a wall clock that jumps from 1970 to now would keep it
    busy for good.
    """

    def __init__(self, seconds: float) -> None:
        self.interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next time; at once for the first and for a late one."""
        return now if previous_fire_time is None else max(previous_fire_time + self.interval, now)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One row of the table. `last_run` and `next_run` are Unix seconds, `interval` and `duration` seconds."""

    name: str
    interval: float
    vital: bool = False
    last_run: float | None = None
    duration: float | None = None
    next_run: float | None = None
    errors: int = 0


class Scheduler:
    """Runs jobs, each every so many seconds. Safe for threads."""

    def __init__(self, self_metrics: SelfMetrics, clock: Clock) -> None:
        self._self_metrics = self_metrics
        self._clock = clock
        self._lock = Lock()
        self._made_at = clock.monotonic()
        self._jobs: dict[str, JobStatus] = {}
        self._ended_at: dict[str, float] = {}  # of vital jobs, monotonic seconds
        self._running: dict[int, tuple[str, float, float]] = {}  # by thread: the job, its start (monotonic and Unix)
        self._reported: set[int] = set()
        # The scheduler logs every event that is counted here anyway, a line each.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={VITAL: ThreadPoolExecutor(MAX_VITAL_THREADS), OTHERS: ThreadPoolExecutor(MAX_OTHER_THREADS)},
            # A job that is late runs still, several late runs are one, and no two run at once.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._on_event, EVENT_JOB_ERROR | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)

    def start(self) -> None:
        """Begin to run the jobs."""
        with self._lock:
            self._ended_at = dict.fromkeys(self._ended_at, self._clock.monotonic())
        self._scheduler.start()

    def stop(self) -> None:
        """Run no job any more; one that is running is not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def every(
        self, name: str, seconds: float, work: Callable[[], None], *, vital: bool = False, instances: int = 1
    ) -> None:
        """Run `work` now and then every so many seconds, until `cancel`; `/-/healthy` depends on a `vital` job.

        So many `instances` may overlap. A job of the same name is replaced, and its row goes on.
        """
        with self._lock:
            before = self._jobs.get(name, JobStatus(name, seconds))
            self._jobs[name] = replace(before, interval=seconds, vital=vital)
            if vital:
                self._ended_at.setdefault(name, self._clock.monotonic())
        self._scheduler.add_job(
            self._run,
            Every(seconds),
            args=(name, work),
            id=name,
            executor=VITAL if vital else OTHERS,
            max_instances=instances,
            replace_existing=True,
        )

    def cancel(self, name: str) -> None:
        """Remove a job."""
        with self._lock:
            self._jobs.pop(name, None)
            self._ended_at.pop(name, None)
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)

    def jobs(self) -> list[JobStatus]:
        """The table, by name."""
        with self._lock:
            rows = sorted(self._jobs.values(), key=lambda row: row.name)
        if not self._scheduler.running:
            return rows
        next_runs = {job.id: job.next_run_time.timestamp() for job in self._scheduler.get_jobs() if job.next_run_time}
        return [replace(row, next_run=next_runs.get(row.name)) for row in rows]

    @property
    def late_job(self) -> str:
        """The name of a vital job that has not ended a run lately; empty when there is none."""
        now = self._clock.monotonic()
        with self._lock:
            if not self._ended_at and now - self._made_at >= LATE:
                return "start"
            late = (name for name, at in self._ended_at.items() if now - at >= self._jobs[name].interval + LATE)
            return next(late, "")

    @property
    def alive(self) -> bool:
        """Whether every vital job has ended a run lately."""
        return not self.late_job

    def hung_jobs(self) -> dict[str, float]:
        """The jobs that have been running for over HUNG_AFTER seconds, and since when (Unix seconds)."""
        now = self._clock.monotonic()
        with self._lock:
            return {name: at for name, began, at in self._running.values() if now - began > HUNG_AFTER}

    def watch(self) -> None:
        """Report, once, each job that hangs; to be called each second by a thread that waits for nothing else."""
        now = self._clock.monotonic()
        with self._lock:
            hung = {run: row for run, row in self._running.items() if now - row[1] > HUNG_AFTER}
            new = [hung[run] for run in hung.keys() - self._reported]
            self._reported |= hung.keys()
        for name, _, at in new:
            log.error("job hangs", job=name, since=at)

    def nudge(self) -> None:
        """Make due what is further away than its interval, as all is once the wall clock was set back.

        APScheduler is woken in any case: it may sleep for as long as a clock that was wrong for a moment made it.
        """
        if not self._scheduler.running:
            return
        now = datetime.now(UTC)
        for job in self._scheduler.get_jobs():
            if job.next_run_time - now > job.trigger.interval:
                with suppress(JobLookupError):  # it is just being cancelled
                    job.modify(next_run_time=now)
        self._scheduler.wakeup()

    def _run(self, name: str, work: Callable[[], None]) -> None:
        began, at = self._clock.monotonic(), self._clock.unix()
        with self._lock:
            self._running[get_ident()] = name, began, at
        errors = 1
        try:
            work()
            errors = 0
        finally:
            now = self._clock.monotonic()
            with self._lock:
                del self._running[get_ident()]
                hung = get_ident() in self._reported
                self._reported.discard(get_ident())
                if (row := self._jobs.get(name)) is not None:
                    duration = now - began
                    self._jobs[name] = replace(row, last_run=at, duration=duration, errors=row.errors + errors)
                if name in self._ended_at:
                    self._ended_at[name] = now
            if hung:
                log.info("job goes on", job=name, seconds=round(now - began, 1))

    def _on_event(self, event: JobEvent) -> None:
        self._self_metrics.scheduler_events.labels(EVENTS[event.code]).inc()
        if event.code == EVENT_JOB_ERROR:
            self._self_metrics.internal_errors.inc()
            log.error("unexpected error", job=event.job_id, exc_info=event.exception)
