"""What a callback adds to what is known of its target. It never says in which state a task is: a read does."""

from dataclasses import replace

from exporter.model.callback import Callback, CallbackReceipt
from exporter.model.pages import PageEvent, with_event
from exporter.model.run import PageActionTaken, Run, StateChange, next_run
from exporter.model.task_state import TaskState

WHOLE_SECONDS = 1.0
"""An EventTime may have been cut to its second, where StartTime and EndTime have milliseconds."""


def heard(callback: Callback, at: float) -> StateChange:
    """What a callback that arrived at `at` (Unix seconds) counts for the fleet, whichever run it is of."""
    page, app_id = callback.page, callback.target.app_id
    facts = () if page is None else (PageActionTaken(app_id, page.action, page.reason),)
    return StateChange(facts=facts, heard=(CallbackReceipt(callback.keys, at),))


def apply_callback(known: TaskState, callback: Callback, at: float) -> tuple[TaskState, StateChange]:
    """Take a callback in that arrived at `at` (Unix seconds); a page event is the run's in whose time it happened."""
    step = heard(callback, at)
    run = None if callback.page is None else _run_of(known, callback.page, at)
    if run is None or callback.page is None:
        return known, step
    run = replace(run, pages=with_event(run.pages, callback.page))
    is_current = known.run is not None and known.run.first_seen == run.first_seen
    after = replace(known, run=run) if is_current else replace(known, announced=run)
    return after, replace(step, runs=(run,))


def _run_of(known: TaskState, page: PageEvent, at: float) -> Run | None:
    """The run that is known, the one to come, or None for one before: that one's events are shown no more."""
    run = known.run
    if run is None:
        return known.announced or Run(known.target.id, first_seen=at)
    if known.over and page.at > _end(run) + WHOLE_SECONDS:
        return known.announced or next_run(run, at)
    before_it = run.start is not None and page.at + WHOLE_SECONDS < run.start
    return None if before_it and run.earlier else run


def _end(run: Run) -> float:
    """EndTime; when it was not told, the moment at which the end was seen."""
    told = run.last.end if run.last else None
    return (run.end_seen or 0.0) if told is None else told
