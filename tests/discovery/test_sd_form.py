import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.discovery.sd_format import SDSourceError, TargetGroup, groups_of_json, groups_of_yaml, read_groups
from exporter.enums import Source
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
    """A document of another shape is refused whole, and the place is told."""
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
    """Whatever is written is groups or a FeedFault."""
    with contextlib.suppress(SDSourceError):
        assert all(isinstance(group, TargetGroup) for group in read(json.dumps(document)))
