import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.loader import parse_config
from exporter.discovery.sd_format import (
    MAX_LABELS,
    MAX_TARGETS,
    SDSourceError,
    TargetEntry,
    TargetGroup,
    groups_of_json,
    groups_of_yaml,
    one_list,
    read_groups,
    static_listing,
)
from exporter.enums import Rejection, Source
from exporter.model.target import TargetId

Reader = Callable[[str], list[TargetGroup]]
BOTH = pytest.mark.parametrize("read", [groups_of_json, groups_of_yaml])


@BOTH
def test_the_form(read: Reader) -> None:
    """Prometheus's own form is read from both formats: JSON is YAML too."""
    text = '[{"targets": ["a/b/c", "a/b/d"], "labels": {"team": "edu", "__expected_start__": 100}}, {"targets": []}]'
    expected = [TargetGroup(["a/b/c", "a/b/d"], {"team": "edu", "__expected_start__": "100"}), TargetGroup([], {})]
    assert expected == read(text)


@BOTH
@pytest.mark.parametrize("text", ["[]", "null"])
def test_an_empty_list(read: Reader, text: str) -> None:
    """No groups is a list without targets, and so is null: that is how Go writes an empty list."""
    assert read(text) == []


@BOTH
@pytest.mark.parametrize("text", ["[{}]", '[{"targets": null, "labels": null}]'])
def test_an_empty_group(read: Reader, text: str) -> None:
    """A group may leave out its targets and its labels."""
    assert [TargetGroup([], {})] == read(text)


@pytest.mark.parametrize(
    "value",
    ["7", "007", "1.50", "1_000", "0x1f", "1e3", "yes", "no", "On", "true", "2026-01-15", "2026-13-45", "8:30", ".inf"],
)
def test_a_label_of_yaml_is_the_text_that_stands_there(value: str) -> None:
    """Prometheus keeps numbers, booleans, dates and times as they are written, and so it is done here."""
    (group,) = groups_of_yaml(f"- targets: [a/b/c]\n  labels: {{x: {value}, {value}: y}}")
    listing = read_groups(Source.FILE, [TargetGroup(group.targets, {"x": group.labels["x"]})])
    assert listing.targets[TargetId("a", "b", "c")].labels == {"x": value}
    assert value in group.labels


@pytest.mark.parametrize("value", ["", "~", "null", '""'])
def test_a_label_of_yaml_may_be_empty(value: str) -> None:
    """Nothing is the empty text, as to Prometheus."""
    listing = read_groups(Source.FILE, groups_of_yaml(f"- targets: [a/b/c]\n  labels: {{x: {value}}}"))
    assert listing.targets[TargetId("a", "b", "c")].labels == {"x": ""}


def test_targets_of_yaml_are_text() -> None:
    """An id may look like a number or a date."""
    (group,) = groups_of_yaml("- targets: [123/456/789, 1/2/2026-01-15]")
    assert group.targets == ["123/456/789", "1/2/2026-01-15"]


def test_json_as_go_reads_it() -> None:
    """Keys in any case, null for nothing, and numbers as they are written."""
    text = '[{"Targets": ["a/b/c"], "LABELS": {"a": null, "b": 1.50, "c": true, "d": "x"}}, {"tArGeTs": null}]'
    listing = read_groups(Source.HTTP, groups_of_json(text))
    assert listing.targets[TargetId("a", "b", "c")].labels == {"a": "", "b": "1.50", "c": "true", "d": "x"}
    assert listing.rejected == ()


def test_an_empty_file() -> None:
    """Nothing at all is an empty list in YAML, and is no JSON."""
    assert groups_of_yaml("") == []
    assert groups_of_yaml("# nothing yet\n") == []
    with pytest.raises(SDSourceError, match=r"^is not JSON at line 1, column 1: Expecting value$"):
        groups_of_json("")


@BOTH
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"targets": ["a/b/c"]}', "must be a list of groups, each with targets and labels"),
        ('"a/b/c"', "must be a list of groups, each with targets and labels"),
        ('["a/b/c"]', "[0] must be a mapping with targets and labels"),
        ("[{}, null]", "[1] must be a mapping with targets and labels"),
        ('[{"targets": "a/b/c"}]', "[0].targets must be a list"),
        ('[{"targets": [], "labels": ["a"]}]', "[0].labels must be a mapping of names and values"),
        ('[{"target": ["a/b/c"]}]', "[0].target is not a known key: a group has targets and labels"),
    ],
)
def test_another_shape(read: Reader, text: str, sentence: str) -> None:
    """A document of another shape is refused whole, and the place is reported."""
    with pytest.raises(SDSourceError) as caught:
        read(text)
    assert sentence == str(caught.value)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("read", "text", "start"),
    [
        (groups_of_yaml, '[{"targets": ["a/b', "is not YAML at line 1"),
        (groups_of_yaml, "- targets: [a/b/c]\n  targets: [a/b/d]", "[0].targets: is there twice"),
        (groups_of_yaml, "- targets: [!secret x]", "[0].targets[0]: no tags"),
        (groups_of_json, '[{"targets": ["a/b', "is not JSON at line 1, column 15: Unterminated string"),
        (groups_of_json, "[" * 100_000, "is not JSON that can be read: it is nested too deep"),
        (groups_of_json, "[" + "9" * 10_000 + "]", "[0] must be a mapping"),
        (groups_of_json, "[" + "[],[]," * 200_000 + "[]]", "has more than 300,000 values"),
        (groups_of_yaml, "[" + "[],[]," * 200_000 + "[]]", "has more than 300,000 values"),
    ],
)
def test_half_a_document(read: Reader, text: str, start: str) -> None:
    """What cannot be parsed is refused with a sentence that tells where, and never what stands there."""
    with pytest.raises(SDSourceError) as caught:
        read(text)
    assert str(caught.value).startswith(start)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["targets", "labels", "x"]), inner),
    max_leaves=12,
)


@BOTH
@given(document=JSON)
def test_anything(read: Reader, document: object) -> None:
    with contextlib.suppress(SDSourceError):
        assert all(isinstance(group, TargetGroup) for group in read(json.dumps(document)))


T1, T2 = TargetId("app", "room", "t1"), TargetId("app", "room", "t2")


def test_groups_share_their_labels() -> None:
    """Each target of a group has the group's labels without `__*`, and its expected times."""
    group = TargetGroup([str(T1), str(T2)], {"team": "edu", "__expected_start__": "1700000100", "__meta_x": "y"})
    expected = TargetEntry({"team": "edu"}, expected_start=1_700_000_100.0)
    assert {T1: expected, T2: expected} == read_groups(Source.STATIC, [group]).targets


def test_a_bad_target_costs_itself() -> None:
    """One bad target is reported with its place, and the others stay."""
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
        ({"x" * 5_000: "team"}, f"[0].labels.'{'x' * 80}': has more than 4,096 characters"),
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
    """All of a group are reported at once, and what is wrong with its targets; each of these counts once."""
    labels = {"a-b": "x", "good": "x", "2nd": "x", "__expected_end__": "soon"}
    listing = read_groups(Source.FILE, [TargetGroup([str(T1), "app/room"], labels)])
    assert [(entry.problem.path, entry.targets) for entry in listing.rejected] == [
        ("[0].labels.a-b", 2),
        ("[0].labels.2nd", 0),
        ("[0].labels.__expected_end__", 0),
        ("[0].targets[1]", 0),
    ]


def test_problems_are_bounded() -> None:
    """The first hundred are reported, the others are a number."""
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
    assert "33,554,432 bytes over all targets" in rejected.problem.sentence


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


def test_all_groups_are_one_list() -> None:
    """Targets of all groups are listed; one that stands in two of them is a duplicate, with its place."""
    config = parse_config(
        """
        static_configs:
          - targets: [app/room/t1]
            labels: {team: edu, __expected_start__: 2026-01-15T08:30:00Z, __expected_end__: 1768469400}
          - targets: [app/room/t2, app/room/t1]
        """,
        Path(),
    )
    listing = static_listing(config)
    assert listing.source == Source.STATIC
    assert {
        TargetId("app", "room", "t1"): TargetEntry({"team": "edu"}, 1_768_465_800.0, 1_768_469_400.0),
        TargetId("app", "room", "t2"): TargetEntry({}),
    } == listing.targets
    assert [(rejected.reason, rejected.problem.path) for rejected in listing.rejected] == [
        (Rejection.DUPLICATE, "static_configs[1].targets[1]")
    ]


def test_no_static_configs() -> None:
    assert static_listing(parse_config("{}", Path())).targets == {}


PROGRAM = """
import sys
from exporter.discovery.sd_format import SDSourceError, groups_of_json, groups_of_yaml, read_groups
from exporter.enums import Source

def memory(name):
    (line,) = (line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1])

for case in sys.stdin:
    kind, text = eval(case)
    open("/proc/self/clear_refs", "w").write("5")
    before = memory("VmRSS")
    try:
        said = len(read_groups(Source.FILE, (groups_of_yaml if kind == "yaml" else groups_of_json)(text)).rejected)
    except SDSourceError as error:
        said = len(str(error))
    print(memory("VmHWM") - before, said, flush=True)
    del text
"""
LONGEST = 20_000
"""Characters of what is said of a document, or entries that are not accepted: far more than is ever needed."""
CASES = [
    """"json", "[" + "{}," * (5 * 2**20) + "{}]" """,
    """"json", '[{"targets":["a/b/c"],"labels":{"a":"' + "x" * (15 * 2**20) + chr(0x1F600) + '"}}]'""",
    """"json", '[{"targets":["a/b/c"],"labels":{' + ",".join(f'"l{i}":""' for i in range(290000)) + "}}]" """,
    """"json", '[{"targets":["x' + '","x' * 290000 + '"]}]'""",
    """"json", "[" * 2**23""",
    """"yaml", "- {}\\n" * (3 * 2**20)""",
    """"yaml", "- targets: [a/b/c]\\n  labels: {a: '" + "x" * (15 * 2**20) + chr(0x1F600) + "'}\\n" """,
    """"yaml", "- targets:\\n" + "  - !x y\\n" * 290000""",
    """"yaml", "- targets: [a/b/c]\\n  labels:\\n" + "    a: x\\n" * 290000""",
    """"yaml", "- &a [x, x, x, x, x, x, x, x, x]\\n" + "".join(f"- &a{i} [{'*a, ' * 9}]\\n" for i in range(100000))""",
]


@pytest.mark.slow
def test_no_document_takes_more_than_100_mib() -> None:
    """Tiny entries, wide characters, many labels, many problems and many aliases, each of up to 16 MiB."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(CASES),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = [[int(word) for word in line.split()] for line in ended.stdout.splitlines()]
    assert len(found) == len(CASES), ended.stderr
    assert [case for case, (kib, _) in zip(CASES, found, strict=True) if kib > 100 * 1024] == []
    assert [case for case, (_, said) in zip(CASES, found, strict=True) if said > LONGEST] == []


def test_a_group_has_a_bounded_number_of_labels() -> None:
    """One label too many costs the group, and is one problem."""
    labels = {f"l{number}": "" for number in range(MAX_LABELS)}
    groups = [TargetGroup(["a/b/c"], labels), TargetGroup(["a/b/d", "a/b/e"], {**labels, "more": ""})]
    listing = read_groups(Source.STATIC, groups)
    assert list(map(str, listing.targets)) == ["a/b/c"]
    assert [(each.targets, str(each.problem)) for each in listing.rejected] == [
        (2, "[1].labels: are more than 1,000 labels")
    ]


def test_a_list_has_a_bounded_number_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond it are rejected, one by one."""
    monkeypatch.setattr("exporter.discovery.sd_format.MAX_TARGETS", 3)
    listing = read_groups(Source.STATIC, [TargetGroup([f"a/b/{number}" for number in range(5)])])
    assert len(listing.targets) == 3
    assert [(each.reason, str(each.problem)) for each in listing.rejected] == [
        (Rejection.INVALID, f"[0].targets[{number}]: a/b/{number} is beyond the 3 targets of one list")
        for number in (3, 4)
    ]
    assert MAX_TARGETS == 100_000
