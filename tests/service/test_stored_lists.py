import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.config.documents import MAX_PROBLEMS
from exporter.config.schema import Account
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import SDSourceError, TargetEntry, TargetGroup, groups_of_json
from exporter.enums import Source
from exporter.errors import BadTargets, StateError
from exporter.model.target import TargetId
from exporter.service.stored_lists import StoredList, read_push
from exporter.store.store import Store, StoredTarget, StoredTargets
from tests.support.state import open_store

ONE, TWO = TargetId("app", "room", "one"), TargetId("app", "room", "two")
EDU = TargetEntry({"team": "edu"}, 1_768_465_805.0, 1_768_469_405.5)
BARE = TargetEntry({})


class State:
    """A state in a file, opened as often as wanted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stores: list[Store] = []

    def store(self) -> Store:
        """The store, as after a start."""
        self._stores.append(open_store(self._file))
        return self._stores[-1]

    def open(self) -> StoredList:
        """The list, as after a start."""
        return StoredList(StoredTargets(self.store(), Source.PUSH), Source.PUSH)

    def close(self) -> None:
        """Close all."""
        for store in self._stores:
            store.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State(tmp_path / "state.db")
    yield made
    made.close()


def test_nothing_changes_before_the_commit(state: State) -> None:
    """A change shows the list as it will be; the list itself is the old one until it is in the state."""
    pushed = state.open()
    change = pushed.added({ONE: EDU}, 10.0)
    assert change.listing.targets == {ONE: EDU}
    assert (pushed.listing.targets, pushed.listed_at(ONE)) == ({}, None)
    change.commit()
    assert (pushed.listing.targets, pushed.listed_at(ONE)) == ({ONE: EDU}, 10.0)


def test_a_commit_that_fails_changes_nothing(state: State) -> None:
    """Memory and state stay the same as each other."""
    pushed = state.open()
    pushed.added({ONE: EDU}, 10.0).commit()
    state.close()
    with pytest.raises(StateError):
        pushed.replaced({TWO: BARE}, 20.0).commit()
    assert (pushed.listing.targets, pushed.listed_at(ONE)) == ({ONE: EDU}, 10.0)


def test_add_replace_remove(state: State) -> None:
    """Adding renews and removes nothing, replacing leaves the new ones alone; a start finds just the same."""
    pushed = state.open()
    pushed.added({ONE: EDU}, 10.0).commit()
    pushed.added({TWO: EDU}, 20.0).commit()
    pushed.added({TWO: BARE}, 30.0).commit()
    assert pushed.listing.targets == {ONE: EDU, TWO: BARE}
    assert (pushed.listed_at(ONE), pushed.listed_at(TWO)) == (10.0, 30.0)
    again = state.open()
    assert again.listing == pushed.listing
    assert (again.listed_at(ONE), again.listed_at(TWO)) == (10.0, 30.0)
    pushed.removed([TWO]).commit()
    assert pushed.listing.targets == state.open().listing.targets == {ONE: EDU}
    pushed.replaced({TWO: EDU}, 40.0).commit()
    assert pushed.listing.targets == state.open().listing.targets == {TWO: EDU}
    assert pushed.listing.source is Source.PUSH


def test_a_change_tells_whom_it_touches(state: State) -> None:
    """Those that are named, and those that are let go: of all others the list says what it said."""
    pushed = state.open()
    first = pushed.added({ONE: EDU}, 10.0)
    first.commit()
    assert first.touched == {ONE}
    assert pushed.replaced({TWO: EDU}, 20.0).touched == {ONE, TWO}
    assert pushed.removed([ONE]).touched == {ONE}
    assert list(pushed.stored.rows) == [ONE]


def test_a_time_that_is_none_costs_no_stored_target(state: State, caplog: pytest.LogCaptureFixture) -> None:
    """An earlier release took `18:30` for 1110 Unix seconds: the target stays, its other time and labels too."""
    times = {"__expected_start__": "1110", "__expected_end__": "1768465805", "team": "edu"}
    late = {"__expected_end__": "1999-12-31T23:59:59Z"}
    StoredTargets(state.store(), Source.PUSH).add({ONE: StoredTarget(times, 10.0), TWO: StoredTarget(late, 20.0)})
    pushed = state.open()
    assert pushed.listing.targets == {ONE: TargetEntry({"team": "edu"}, None, 1_768_465_805.0), TWO: BARE}
    assert pushed.listing.rejected == ()
    assert [record.getMessage().partition(" reason=")[0] for record in caplog.records] == [
        "stored time dropped target=app/room/one label=__expected_start__ value=1110",
        "stored time dropped target=app/room/two label=__expected_end__ value=1999-12-31T23:59:59Z",
    ]


def test_long_stored_labels_cost_no_target(state: State) -> None:
    """Bounds hold for what comes in; what was taken before them, or by several pushes, is read again whole."""
    named = {TargetId("app", "room", str(number)): TargetEntry({"a": "x" * 400_000}) for number in range(100)}
    state.open().added(named, 10.0).commit()
    assert state.open().listing.targets == named


EVERY_APP = AccountOf([Account()])


def test_a_body_names_targets() -> None:
    """Labels and expected times as in every other list."""
    group = TargetGroup([str(ONE)], {"team": "edu", "__expected_start__": "1768465805"})
    expected = {ONE: TargetEntry({"team": "edu"}, 1_768_465_805.0), TWO: BARE}
    assert expected == read_push([group, TargetGroup([str(TWO)])], EVERY_APP)
    assert read_push([], EVERY_APP) == {}


def test_all_or_nothing() -> None:
    """One bad entry refuses the body, and every problem is reported with its place."""
    mine = AccountOf([Account(app_ids=("app",))])
    groups = [
        TargetGroup([str(ONE), "app/room", 7, "other/room/task"]),
        TargetGroup([str(TWO), str(ONE)]),
        TargetGroup([str(TWO), "third/room/task"], {"1": "x"}),
    ]
    with pytest.raises(BadTargets) as caught:
        read_push(groups, mine)
    places = [problem.path for problem in caught.value.problems]
    assert places == [
        "[0].targets[1]",
        "[0].targets[2]",
        "[1].targets[1]",
        "[2].labels.1",
        "[0].targets[3]",
        "[2].targets[1]",
    ]
    logs = str(caught.value)
    assert "app/room/one is in this list already" in logs
    assert "other/room/task is read by no account" in logs


MIB = 1024 * 1024
LARGEST = 8 * MIB


def filled(unit: str, before: str = "[", after: str = "]") -> str:
    """A body of the largest size that repeats one thing."""
    number = (LARGEST - len(before) - len(after)) // (len(unit) + 1)
    return before + ",".join([unit] * number) + after


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize(
    "make",
    [
        lambda: filled("{}"),
        lambda: filled("[]"),
        lambda: filled("1"),
        lambda: filled('""', '[{"targets":[', "]}]"),
        lambda: filled('{"targets":["x"],"labels":{"a":"b"}}'),
        lambda: "[" * LARGEST,
        lambda: '["' + "\U0001f600" * (LARGEST // 4 - 9) + '"]',
        lambda: json.dumps([{"targets": ["x"] * 290_000}]),
        lambda: json.dumps([{"targets": [f"other/room{n}/task{n}" for n in range(49_000)]}]),
        lambda: json.dumps([{"targets": [f"app/r/{n}" for n in range(49_000)], "labels": {"team": "x" * 300_000}}]),
        lambda: json.dumps([{"targets": [f"app/r/{n}" for n in range(49_000)], "labels": {"team": "x" * 4_000}}]),
        lambda: json.dumps([{"labels": {f"label-{n}": "x" for n in range(290_000)}}]),
    ],
    ids=str.split("groups lists numbers targets bad deep wide copies other-app long-label product label-names"),
)
def test_the_memory_of_a_body_is_bounded(make: Callable[[], str]) -> None:
    """Bounds are on what bytes become: however small its entries are, a body is refused before it costs 100 MiB."""
    body = make()
    tracemalloc.start()
    try:
        with pytest.raises((BadTargets, SDSourceError)) as caught:
            read_push(groups_of_json(body), AccountOf([Account(app_ids=("app",))]))
        assert tracemalloc.get_traced_memory()[1] < 100 * MIB
    finally:
        tracemalloc.stop()
    assert len(getattr(caught.value, "problems", ())) <= MAX_PROBLEMS + 1


def test_targets_of_one_body_are_bounded() -> None:
    """A sentence says how many there may be."""
    with pytest.raises(BadTargets, match="names 50,001 targets; 50,000 are the most"):
        read_push([TargetGroup(["app/room/task"] * 50_001)], EVERY_APP)
