import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.discovery.sd_format import TargetEntry, TargetGroup, one_list, read_groups
from exporter.enums import Rejection, Source
from exporter.model.target import TargetId

T1, T2 = TargetId("app", "room", "t1"), TargetId("app", "room", "t2")


def test_groups_share_their_labels() -> None:
    """Each target of a group has the group's labels without `__*`, and its expected times."""
    group = TargetGroup([str(T1), str(T2)], {"team": "edu", "__expected_start__": "1700000100", "__meta_x": "y"})
    expected = TargetEntry({"team": "edu"}, expected_start=1_700_000_100.0)
    assert {T1: expected, T2: expected} == read_groups(Source.STATIC, [group]).targets


def test_a_bad_target_costs_itself() -> None:
    """One bad target is told with its place, and the others stay."""
    listing = read_groups(Source.STATIC, [TargetGroup([str(T1), "app/room", str(T2)])], "static_configs")
    assert list(listing.targets) == [T1, T2]
    (rejected,) = listing.rejected
    assert (
        rejected.reason,
        str(rejected.problem),
    ) == (Rejection.INVALID, "static_configs[0].targets[1]: 'app/room' is not APP_ID/ROOM_ID/TASK_ID")


def test_bad_labels_cost_their_group() -> None:
    """Targets whose labels cannot be read are invalid, each of them, and other groups stay."""
    for labels in (
        {"__expected_start__": "soon"},
        {"__expected_start__": "1700000002", "__expected_end__": "1700000001"},
        {"a-b": "c"},
    ):
        listing = read_groups(Source.STATIC, [TargetGroup([str(T1), str(T1)], labels), TargetGroup([str(T2)])])
        assert list(listing.targets) == [T2]
        assert [(rejected.reason, rejected.targets) for rejected in listing.rejected] == [(Rejection.INVALID, 2)]


def test_twice_in_one_list() -> None:
    """Of two equal targets the first stays, with its own labels, and the second is a duplicate."""
    groups = [TargetGroup([str(T1)], {"team": "a"}), TargetGroup([str(T1), str(T2)], {"team": "b", "more": "c"})]
    listing = read_groups(Source.STATIC, groups)
    assert {T1: TargetEntry({"team": "a"}), T2: TargetEntry({"team": "b", "more": "c"})} == listing.targets
    assert [(rejected.reason, str(rejected.problem)) for rejected in listing.rejected] == [
        (Rejection.DUPLICATE, "[1].targets[0]: app/room/t1 is in this list already")
    ]


@given(
    st.lists(
        st.builds(
            TargetGroup,
            st.lists(st.text(max_size=9) | st.sampled_from([str(T1), str(T2)])),
            st.dictionaries(st.sampled_from(["a", "__expected_start__", "__expected_end__"]) | st.text(), st.text()),
        )
    )
)
def test_nothing_is_lost(groups: list[TargetGroup]) -> None:
    """Every entry of any list is a target or a rejection, and nothing raises."""
    listing = read_groups(Source.STATIC, groups)
    lost = sum(entry.targets for entry in listing.rejected)
    assert sum(len(group.targets) for group in groups) == len(listing.targets) + lost


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"team": ["a"]}, "[0].labels.team: must be a string"),
        ({"team": "\ud800"}, "[0].labels.team: must be whole characters of Unicode"),
        ({"team": "x" * 5_000}, "[0].labels.team: has more than 4,096 characters"),
        ({"1x": "a"}, "[0].labels.1x: must be a label name: letters, digits and _, no digit first"),
        ({"__expected_start__": "8:30"}, "[0].labels.__expected_start__: needs a date, a time of day and a time zone"),
        ({"__expected_end__": "1768465800000"}, "[0].labels.__expected_end__: must be Unix seconds; this looks like"),
        ({"__expected_start__": "1700000002", "__expected_end__": "1700000001"}, "[0].labels: __expected_end__ is"),
    ],
)
def test_a_label_s_value_is_text(labels: dict[str, object], sentence: str) -> None:
    """Any value but text costs the group's targets, with a sentence that names the label."""
    listing = read_groups(Source.FILE, [TargetGroup([str(T1)], labels), TargetGroup([str(T2)])])
    assert list(listing.targets) == [T2]
    (rejected,) = listing.rejected
    assert str(rejected.problem).startswith(sentence)


def test_every_bad_label_is_named() -> None:
    """All of a group are told at once; its targets count once."""
    labels = {"a-b": "x", "good": "x", "2nd": "x", "__expected_end__": "soon"}
    listing = read_groups(Source.FILE, [TargetGroup([str(T1), str(T2)], labels)])
    assert [(entry.problem.path, entry.targets) for entry in listing.rejected] == [
        ("[0].labels.a-b", 2),
        ("[0].labels.2nd", 0),
        ("[0].labels.__expected_end__", 0),
    ]


def test_problems_are_bounded() -> None:
    """The first hundred are told, the others are a number."""
    listing = read_groups(Source.PUSH, [TargetGroup([f"bad{number}" for number in range(5_000)])], "list")
    assert len(listing.rejected) == 101
    assert str(listing.rejected[-1].problem) == "list: 4,900 more targets are not accepted: invalid"
    assert sum(entry.targets for entry in listing.rejected) == 5_000


def test_labels_of_all_targets_are_bounded() -> None:
    """A group's labels are written once for each of its targets, in the state and in answers."""
    labels: dict[str, object] = {f"label{number}": "x" * 4_000 for number in range(50)}
    groups = [TargetGroup([f"app/room/{number}" for number in range(2_000)], labels), TargetGroup([str(T1)])]
    listing = read_groups(Source.PUSH, groups)
    assert list(listing.targets) == [T1]
    (rejected,) = listing.rejected
    assert (rejected.problem.path, rejected.targets) == ("[0].labels", 2_000)
    assert "33,554,432 characters over all targets" in rejected.problem.sentence


def test_a_target_that_is_no_text() -> None:
    """A number or a null in the place of a target costs itself."""
    listing = read_groups(Source.FILE, [TargetGroup([5, None, str(T1), {}])])
    assert list(listing.targets) == [T1]
    assert [str(rejected.problem) for rejected in listing.rejected] == [
        f"[0].targets[{index}]: must be APP_ID/ROOM_ID/TASK_ID" for index in (0, 1, 3)
    ]


def test_documents_make_one_list() -> None:
    """What is in a second document of a list too is a duplicate, once for each time; problems tell their document."""
    first = read_groups(Source.FILE, [TargetGroup([str(T1), "bad"], {"team": "a"})])
    second = read_groups(Source.FILE, [TargetGroup([str(T1), str(T2)], {"team": "b"})])
    listing = one_list(Source.FILE, [("a.yml", first), ("b.yml", second), ("c.yml", second)])
    assert {T1: TargetEntry({"team": "a"}), T2: TargetEntry({"team": "b"})} == listing.targets
    assert [(entry.reason, entry.problem.path) for entry in listing.rejected] == [
        (Rejection.INVALID, "a.yml[0].targets[1]"),
        (Rejection.DUPLICATE, "b.yml"),
        (Rejection.DUPLICATE, "c.yml"),
        (Rejection.DUPLICATE, "c.yml"),
    ]
