"""When a listing by push ends by itself (contract, section 5, "a pushed or called-back target")."""

from exporter.model.known import Known, Lifetimes
from exporter.vocabulary import ReadFailure


def lapses_at(known: Known, lifetimes: Lifetimes) -> float | None:
    """The moment, in Unix seconds; None while its run is live, and when no push lists it.

    Once a run has stopped that was not over when the push named it, its linger decides alone. A push that came later
    speaks of a run still to come: like a target that the API does not know, it is waited for.
    """
    named = known.renewed_at
    if named is None or known.live or known.drain_until is not None:
        return None
    lingers = None if known.run is None or known.run.end_seen is None else known.run.end_seen + lifetimes.linger
    if lingers is None:
        return _waited_for(known, named, lifetimes)
    if lingers - lifetimes.linger >= named:
        return lingers
    return max(lingers, _waited_for(known, named, lifetimes))


def _waited_for(known: Known, named: float, lifetimes: Lifetimes) -> float:
    """`ttl` after it was named, or sooner if the API has been asked since then and knows of no such run."""
    by_ttl = named + lifetimes.ttl
    asked = known.last_read is not None and known.last_read >= named
    if not asked or known.failure not in (None, ReadFailure.NOT_FOUND):
        return by_ttl
    meant = known.target.expected_start
    return min(by_ttl, (named if meant is None else max(named, meant)) + lifetimes.forget_unknown_after)
