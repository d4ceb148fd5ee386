"""What one push names, taken whole or refused whole."""

import pytest

from exporter.config.schema import Account
from exporter.discovery.merge import AccountOf
from exporter.discovery.pushed import read_push
from exporter.discovery.sd_format import TargetEntry, TargetGroup
from exporter.errors import BadTargets
from exporter.model.target import TargetId

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
