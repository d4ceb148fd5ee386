"""When a listing by push or callback ends by itself (contract, section 5, "a pushed or called-back target")."""

from exporter.enums import ReadFailure
from exporter.model.task_state import Lifetimes, TaskState


def lapses_at(known: TaskState, lifetimes: Lifetimes) -> float | None:
    """The moment, in Unix seconds; None while its run is live, and when neither a push nor a callback lists it."""
    if known.live or known.drain_until is not None:
        return None
    pushed, called = known.named
    moments = (
        None if pushed is None else _after_push(known, pushed, lifetimes),
        None if called is None else _after_callback(known, called, lifetimes),
    )
    return max((moment for moment in moments if moment is not None), default=None)


def _after_push(known: TaskState, named: float, lifetimes: Lifetimes) -> float:
    """Once a run has stopped that was not over when the push named it, its linger decides alone.

    A push that came later speaks of a run still to come: like a target that the API does not know, it is waited for.
    """
    lingers = _lingers(known, lifetimes)
    if lingers is None:
        return _waited_for(known, named, lifetimes)
    if lingers - lifetimes.linger >= named:
        return lingers
    return max(lingers, _waited_for(known, named, lifetimes))


def _after_callback(known: TaskState, named: float, lifetimes: Lifetimes) -> float:
    """A callback speaks of what has happened, an end too: what the read that follows it says of a run holds."""
    lingers = _lingers(known, lifetimes)
    if lingers is None or not _asked_since(known, named):
        return _waited_for(known, named, lifetimes)
    return lingers


def _lingers(known: TaskState, lifetimes: Lifetimes) -> float | None:
    return None if known.run is None or known.run.end_seen is None else known.run.end_seen + lifetimes.linger


def _asked_since(known: TaskState, named: float) -> bool:
    return known.last_read is not None and known.last_read >= named


def _waited_for(known: TaskState, named: float, lifetimes: Lifetimes) -> float:
    """`ttl` after it was named, or sooner if the API has been asked since then and knows of no such run."""
    by_ttl = named + lifetimes.ttl
    if not _asked_since(known, named) or known.failure not in (None, ReadFailure.NOT_FOUND):
        return by_ttl
    meant = known.target.expected_start
    return min(by_ttl, (named if meant is None else max(named, meant)) + lifetimes.forget_unknown_after)
