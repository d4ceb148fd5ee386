"""The targets in force, counted; a change of a few comes to the same as merging all lists anew."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from exporter.config.schema import Account
from exporter.discovery.merge import Difference, TargetIndex, accept, merged
from exporter.discovery.sd_format import Listing, TargetEntry
from exporter.enums import Rejection, Source
from exporter.model.target import TargetId

ACCOUNTS = (Account(name="one", app_ids=("app",)), Account(name="two", app_ids=("other",)))
IDS = [TargetId(app, "room", name) for app in ("app", "other", "nobody") for name in "ab"]
LISTED = st.sampled_from(
    [TargetEntry({}), TargetEntry({"team": "edu"}), TargetEntry({"team": "live", "page": "quiz"}, 1.0, 2.0)]
)
LISTS = st.dictionaries(st.sampled_from(IDS), LISTED)

Lists = Mapping[Source, Mapping[TargetId, TargetEntry]]


def listings(lists: Lists) -> list[Listing]:
    """One list a source."""
    return [Listing(source, targets) for source, targets in lists.items()]


def counted(roster: TargetIndex) -> tuple[dict[Source, int], Mapping[Rejection, int]]:
    """What the gauges show."""
    return {source: roster.by_source[source] for source in Source}, roster.rejected


@given(st.fixed_dictionaries(dict.fromkeys(Source, LISTS)), st.lists(st.tuples(st.sampled_from(Source), LISTS)))
def test_changing_a_few_is_merging_all(
    lists: dict[Source, dict[TargetId, TargetEntry]], changes: list[tuple[Source, dict[TargetId, TargetEntry]]]
) -> None:
    """Whatever the lists say before and after: the same targets, the same counts, the same orphans."""
    roster = TargetIndex()
    accepted = accept(listings(lists), ACCOUNTS)
    roster.replace(accepted)
    in_force = dict(accepted.targets)
    for source, said in changes:
        touched = lists[source].keys() | said.keys()
        lists = {**lists, source: said}
        few = merged(touched, listings(lists), ACCOUNTS)
        difference = Difference(few.targets, frozenset(touched - few.targets.keys()))
        roster.change(difference, few.without_account)
        in_force = {target: made for target, made in in_force.items() if target not in difference.gone}
        in_force |= difference.listed
    whole = accept(listings(lists), ACCOUNTS)
    expected = TargetIndex()
    expected.replace(whole)
    assert in_force == whole.targets
    assert counted(roster) == counted(expected)


def test_the_rejected_of_other_lists_stay() -> None:
    """A push has no say in what a file got wrong; an orphan that is let go is one less."""
    orphan = TargetId("nobody", "room", "a")
    roster = TargetIndex()
    roster.replace(accept([Listing(Source.PUSH, {orphan: TargetEntry({})})], ACCOUNTS))
    assert roster.rejected[Rejection.NO_ACCOUNT] == 1
    few = merged([orphan], [], ACCOUNTS)
    roster.change(Difference(few.targets, frozenset([orphan])), few.without_account)
    assert roster.rejected == {Rejection.INVALID: 0, Rejection.DUPLICATE: 0, Rejection.NO_ACCOUNT: 0}
