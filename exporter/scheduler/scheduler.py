"""APScheduler drives the reads: one job, the beat, hands out every call whose slot comes before the next beat.

One job rather than one a target: 20,000 jobs would each carry a trigger and a row in a job store, a job that is late
may be dropped, and "never more than the budget" could not be said of them. What is due, and in which order, is the
rounds' business.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

log = logging.getLogger(__name__)

BEAT = 0.1
"""Seconds between two beats: what a due read waits at most for being handed out."""

HOUSEKEEPING = 600.0
LATE = 5.0
"""Seconds without a beat after which `/-/healthy` says so."""

OTHERS = "others"
MOST_OTHERS = 16
"""Threads for work that may wait for the network; the beat has its own."""

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


class Scheduler:
    """Runs `beat` every BEAT seconds, `housekeep` now and then, and whatever else is wanted `every` so often.

    `count` is told of each scheduler event ("error", "max_instances", "missed"); `monotonic` is a clock in seconds.
    """

    def __init__(
        self,
        beat: Callable[[], None],
        housekeep: Callable[[], None],
        count: Callable[[str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._beat = beat
        self._count = count
        self._monotonic = monotonic
        self._moved_at = monotonic()
        # The scheduler logs every event that is counted here anyway, a line each.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(2), OTHERS: ThreadPoolExecutor(MOST_OTHERS)},
            # A beat that is late runs still, several late ones are one, and no two run at once.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._saw, EVENT_JOB_ERROR | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._scheduler.add_job(self._move, Every(BEAT), id="beat")
        self._scheduler.add_job(housekeep, Every(HOUSEKEEPING), id="housekeeping")

    def start(self) -> None:
        """Begin to beat."""
        self._moved_at = self._monotonic()
        self._scheduler.start()

    def stop(self) -> None:
        """Beat no more; a beat that is running is not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def every(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        """Do `work` now and then every so many seconds, on a thread that the beat does not need; until `cancel`."""
        self._scheduler.add_job(work, Every(seconds), id=name, executor=OTHERS, replace_existing=True)

    def cancel(self, name: str) -> None:
        """Do it no more."""
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)

    @property
    def alive(self) -> bool:
        """Whether it has moved lately."""
        return self._monotonic() - self._moved_at < LATE

    def nudge(self) -> None:
        """Make due what is further away than its interval, as all is once the wall clock was set back."""
        now = datetime.now(UTC)
        for job in self._scheduler.get_jobs() if self._scheduler.running else ():
            if job.next_run_time - now > job.trigger.interval:
                with suppress(JobLookupError):  # it is just being cancelled
                    job.modify(next_run_time=now)

    def _move(self) -> None:
        self._beat()
        self._moved_at = self._monotonic()

    def _saw(self, event: JobEvent) -> None:
        self._count(EVENTS[event.code])
        if event.code == EVENT_JOB_ERROR:
            log.error("job %s failed for a reason that nobody foresaw", event.job_id, exc_info=event.exception)
