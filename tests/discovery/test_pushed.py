"""What one push names, taken whole or refused whole."""

import json
import tracemalloc

import pytest

from exporter.config.documents import MAX_PROBLEMS
from exporter.config.schema import Account
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import SDSourceError, TargetEntry, TargetGroup, groups_of_json
from exporter.errors import BadTargets
from exporter.model.target import TargetId
from exporter.service.stored_lists import read_push

pytestmark = pytest.mark.slow

ONE, TWO = TargetId("app", "room", "one"), TargetId("app", "room", "two")
BARE = TargetEntry({})
EVERY_APP = AccountOf([Account()])


def test_a_body_names_targets() -> None:
    """Labels and expected times as in every other list."""
    group = TargetGroup([str(ONE)], {"team": "edu", "__expected_start__": "1768465805"})
    expected = {ONE: TargetEntry({"team": "edu"}, 1_768_465_805.0), TWO: BARE}
    assert expected == read_push([group, TargetGroup([str(TWO)])], EVERY_APP)
    assert read_push([], EVERY_APP) == {}


def test_all_or_nothing() -> None:
    """One bad entry refuses the body, and every problem is told with its place."""
    mine = AccountOf([Account(app_ids=("app",))])
    groups = [
        TargetGroup([str(ONE), "app/room", 7, "other/room/task"]),
        TargetGroup([str(TWO), str(ONE)]),
        TargetGroup([str(TWO)], {"1": "x"}),
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
    ]
    told = str(caught.value)
    assert "app/room/one is in this list already" in told
    assert "other/room/task is read by no account" in told


MIB = 1024 * 1024
LARGEST = 8 * MIB


def filled(unit: str, before: str = "[", after: str = "]") -> str:
    """A body of the largest size that repeats one thing."""
    number = (LARGEST - len(before) - len(after)) // (len(unit) + 1)
    return before + ",".join([unit] * number) + after


@pytest.mark.parametrize(
    "body",
    [
        filled("{}"),
        filled("[]"),
        filled("1"),
        filled('""', '[{"targets":[', "]}]"),
        filled('{"targets":["x"],"labels":{"a":"b"}}'),
        "[" * LARGEST,
        '["' + "\U0001f600" * (LARGEST // 4 - 9) + '"]',
        json.dumps([{"targets": ["x"] * 290_000}]),
        json.dumps([{"targets": [f"other/room{n}/task{n}" for n in range(49_000)]}]),
        json.dumps([{"targets": [f"app/r/{n}" for n in range(49_000)], "labels": {"team": "x" * 300_000}}]),
        json.dumps([{"targets": [f"app/r/{n}" for n in range(49_000)], "labels": {"team": "x" * 4_000}}]),
        json.dumps([{"labels": {f"label-{n}": "x" for n in range(290_000)}}]),
    ],
    ids=str.split("groups lists numbers targets bad deep wide copies other-app long-label product label-names"),
)
def test_the_memory_of_a_body_is_bounded(body: str) -> None:
    """Bounds are on what bytes become: however small its entries are, a body is refused before it costs 100 MiB."""
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
