import pytest

from exporter.config.schema import Account
from exporter.discovery.merge import accept
from exporter.discovery.sd_format import Listing, RejectedEntry, TargetEntry
from exporter.enums import Rejection, Source
from exporter.errors import Problem
from exporter.model.target import Target, TargetId

T1, T2 = TargetId("app", "room", "t1"), TargetId("other", "room", "t2")
STATIC = Source.STATIC
ONLY = (Account(name="only"),)
NONE_REJECTED = {Rejection.INVALID: 0, Rejection.DUPLICATE: 0, Rejection.NO_ACCOUNT: 0}


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
    """The account that holds the app reads it; an app that none holds is nobody's."""
    accounts = (Account(name="a", app_ids=("app",)), Account(name="b", app_ids=("b-app",)))
    accepted = accept([Listing(STATIC, {T1: TargetEntry({}), T2: TargetEntry({})})], accounts)
    assert {target: accepted.targets[target].account for target in accepted.targets} == {T1: "a"}
    assert accepted.rejected[Rejection.NO_ACCOUNT] == 1


def test_what_lists_rejected_is_summed() -> None:
    """Rejections of all lists add up by reason, and a target without account counts once however often it is listed."""
    bad = tuple(RejectedEntry(reason, Problem("", "x")) for reason in (Rejection.INVALID, Rejection.DUPLICATE))
    listings = [Listing(STATIC, {T2: TargetEntry({})}, bad), Listing(STATIC, {T2: TargetEntry({})}, bad[:1])]
    accepted = accept(listings, (Account(app_ids=("app",)),))
    assert accepted.rejected == {Rejection.INVALID: 2, Rejection.DUPLICATE: 1, Rejection.NO_ACCOUNT: 1}
