from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.schema import Account
from exporter.discovery.merge import Difference, TargetIndex, accept, merged
from exporter.discovery.sd_format import Listing, RejectedEntry, TargetEntry
from exporter.enums import Rejection, Source
from exporter.errors import Problem
from exporter.model.target import Target, TargetId

T1, T2 = TargetId("app", "room", "t1"), TargetId("other", "room", "t2")
STATIC = Source.STATIC
ONLY = (Account(name="only"),)
NONE_REJECTED = {Rejection.INVALID: 0, Rejection.DUPLICATE: 0, Rejection.NO_ACCOUNT: 0, Rejection.OVER_LIMIT: 0}


def test_one_list() -> None:
    """A listed target is accepted with its account, source, labels and expected times."""
    accepted = accept([Listing(STATIC, {T1: TargetEntry({"team": "edu"}, 100.0, 200.0)})], ONLY)
    assert {T1: Target(T1, "only", frozenset({STATIC}), {"team": "edu"}, 100.0, 200.0)} == accepted.targets
    assert accepted.rejected == NONE_REJECTED


def test_nothing_listed() -> None:
    """Without lists there are no targets, and every reason counts zero."""
    assert (accept([], ONLY).targets, accept([], ONLY).rejected) == ({}, NONE_REJECTED)


def test_labels_merge_key_by_key() -> None:
    """The later list's label wins, and what it does not say stays."""
    listings = [
        Listing(STATIC, {T1: TargetEntry({"a": "1", "b": "1"})}),
        Listing(STATIC, {T1: TargetEntry({"b": "2", "c": "2"})}),
    ]
    accepted = accept(listings, ONLY)
    assert accepted.targets[T1].labels == {"a": "1", "b": "2", "c": "2"}
    assert accepted.rejected == NONE_REJECTED


@pytest.mark.parametrize(
    ("weaker", "stronger", "expected"),
    [
        ((100.0, 200.0), (None, None), (100.0, 200.0)),
        ((100.0, 200.0), (150.0, None), (150.0, 200.0)),
        ((100.0, None), (None, 300.0), (100.0, 300.0)),
        ((0.0, None), (None, None), (0.0, None)),
        ((100.0, 200.0), (0.0, None), (0.0, 200.0)),
        ((100.0, 200.0), (300.0, None), (300.0, None)),
        ((100.0, 200.0), (None, 50.0), (None, 50.0)),
    ],
)
def test_expected_times_merge_like_labels(
    weaker: tuple[float | None, float | None],
    stronger: tuple[float | None, float | None],
    expected: tuple[float | None, float | None],
) -> None:
    """A stronger source's time wins; a weaker one's that would then contradict it is forgotten, not the target."""
    listings = [Listing(STATIC, {T1: TargetEntry({}, *weaker)}), Listing(STATIC, {T1: TargetEntry({}, *stronger)})]
    target = accept(listings, ONLY).targets[T1]
    assert expected == (target.expected_start, target.expected_end)


@pytest.mark.parametrize(
    ("apps", "accounts"),
    [
        ((), {T1: "a", T2: "a"}),
        (("app",), {T1: "a"}),
        (("app", "other"), {T1: "a", T2: "a"}),
        (("elsewhere",), {}),
    ],
)
def test_one_account(apps: tuple[str, ...], accounts: dict[TargetId, str]) -> None:
    """An only account reads everything, unless it names its apps."""
    accepted = accept([Listing(STATIC, {T1: TargetEntry({}), T2: TargetEntry({})})], (Account(name="a", app_ids=apps),))
    assert accounts == {target: accepted.targets[target].account for target in accepted.targets}
    assert 2 - len(accounts) == accepted.rejected[Rejection.NO_ACCOUNT]
    assert {T1, T2} - accounts.keys() == accepted.without_account


def test_several_accounts() -> None:
    """The account that holds the app reads it; an app that none holds is read by none."""
    accounts = (Account(name="a", app_ids=("app",)), Account(name="b", app_ids=("b-app",)))
    accepted = accept([Listing(STATIC, {T1: TargetEntry({}), T2: TargetEntry({})})], accounts)
    assert {target: accepted.targets[target].account for target in accepted.targets} == {T1: "a"}
    assert accepted.rejected[Rejection.NO_ACCOUNT] == 1


def test_what_lists_rejected_is_summed() -> None:
    """Rejections of all lists add up by reason, and a target without account counts once however often it is listed."""
    bad = tuple(RejectedEntry(reason, Problem("", "x")) for reason in (Rejection.INVALID, Rejection.DUPLICATE))
    listings = [Listing(STATIC, {T2: TargetEntry({})}, bad), Listing(STATIC, {T2: TargetEntry({})}, bad[:1])]
    accepted = accept(listings, (Account(app_ids=("app",)),))
    assert accepted.rejected == {**NONE_REJECTED, Rejection.INVALID: 2, Rejection.DUPLICATE: 1, Rejection.NO_ACCOUNT: 1}


ACCOUNTS = (Account(name="one", app_ids=("app",)), Account(name="two", app_ids=("other",)))
IDS = [TargetId(app, "room", name) for app in ("app", "other", "unread") for name in "ab"]
LISTED = st.sampled_from(
    [TargetEntry({}), TargetEntry({"team": "edu"}), TargetEntry({"team": "live", "page": "quiz"}, 1.0, 2.0)]
)
LISTS = st.dictionaries(st.sampled_from(IDS), LISTED)

Lists = Mapping[Source, Mapping[TargetId, TargetEntry]]


def listings(lists: Lists) -> list[Listing]:
    """One list a source."""
    return [Listing(source, targets) for source, targets in lists.items()]


def counted(index: TargetIndex) -> tuple[dict[Source, int], Mapping[Rejection, int]]:
    """What the gauges show."""
    return {source: index.by_source[source] for source in Source}, index.rejected


@given(st.fixed_dictionaries(dict.fromkeys(Source, LISTS)), st.lists(st.tuples(st.sampled_from(Source), LISTS)))
def test_changing_a_few_is_merging_all(
    lists: dict[Source, dict[TargetId, TargetEntry]], changes: list[tuple[Source, dict[TargetId, TargetEntry]]]
) -> None:
    """Whatever the lists say before and after: the same targets, the same counts, the same orphans."""
    index = TargetIndex()
    accepted = accept(listings(lists), ACCOUNTS)
    index.replace(accepted)
    in_force = dict(accepted.targets)
    for source, said in changes:
        touched = lists[source].keys() | said.keys()
        lists = {**lists, source: said}
        few = merged(touched, listings(lists), ACCOUNTS)
        difference = Difference(few.targets, frozenset(touched - few.targets.keys()))
        index.change(difference, few.without_account)
        in_force = {target: made for target, made in in_force.items() if target not in difference.gone}
        in_force |= difference.listed
    whole = accept(listings(lists), ACCOUNTS)
    expected = TargetIndex()
    expected.replace(whole)
    assert in_force == whole.targets
    assert counted(index) == counted(expected)


def test_the_rejected_of_other_lists_stay() -> None:
    """A push has no say in what a file got wrong; an orphan that is released is one less."""
    orphan = TargetId("unread", "room", "a")
    index = TargetIndex()
    index.replace(accept([Listing(Source.PUSH, {orphan: TargetEntry({})})], ACCOUNTS))
    assert index.rejected[Rejection.NO_ACCOUNT] == 1
    few = merged([orphan], [], ACCOUNTS)
    index.change(Difference(few.targets, frozenset([orphan])), few.without_account)
    assert index.rejected == NONE_REJECTED


A, B, C = (TargetId("app", "room", name) for name in "abc")


def test_the_sum_of_all_lists_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each list may be within its own limits: what is too much in all is left out, the strongest source's first."""
    monkeypatch.setattr("exporter.discovery.merge.MAX_TARGETS", 2)
    lists = {Source.PUSH: {C: TargetEntry({})}, Source.FILE: {A: TargetEntry({}), B: TargetEntry({})}}
    accepted = accept(listings(lists), ONLY)
    assert (set(accepted.targets), accepted.rejected[Rejection.OVER_LIMIT]) == ({A, B}, 1)


def test_labels_of_all_lists_are_bounded_as_they_are_after_the_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that two lists give to one target counts once; each target counts with its group's labels."""
    monkeypatch.setattr("exporter.discovery.merge.MAX_LABEL_BYTES", 20)
    shared, other = TargetEntry({"l": "x" * 9}), TargetEntry({"l": "y" * 9})
    accepted = accept([Listing(Source.FILE, {A: shared, B: shared}), Listing(Source.PUSH, {A: other})], ONLY)
    assert (set(accepted.targets), accepted.rejected[Rejection.OVER_LIMIT]) == ({A, B}, 0)
    accepted = accept([Listing(Source.FILE, {A: shared, B: shared}), Listing(Source.PUSH, {C: other})], ONLY)
    assert (set(accepted.targets), accepted.rejected[Rejection.OVER_LIMIT]) == ({A, B}, 1)


def test_a_change_within_the_limits_is_told_from_one_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the whole no larger is allowed, also when a list of files has filled it."""
    monkeypatch.setattr("exporter.discovery.merge.MAX_LABEL_BYTES", 20)
    index = TargetIndex()

    def allowed(labels: Mapping[TargetId, dict[str, str]], gone: Collection[TargetId] = ()) -> bool:
        listed = {target: Target(target, "only", frozenset(), each) for target, each in labels.items()}
        difference = Difference(listed, frozenset(gone))
        if fits := index.allows(difference):
            index.change(difference, ())
        return fits

    assert allowed({A: {"l": "x" * 9}})
    assert allowed({B: {"l": "x" * 9}})
    assert not allowed({C: {"l": ""}})
    assert allowed({C: {}})
    assert allowed({C: {"l": "x" * 9}}, gone=[A])
    assert allowed({B: {"l": "y" * 9}})
    assert not allowed({B: {"l": "y" * 10}})
    assert not allowed({B: {"l": "课" * 3}})
    assert allowed({B: {"l": "课" * 2}})
