import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.discovery.sd_format import SDSourceError, TargetGroup, groups_of_json, groups_of_yaml

Reader = Callable[[str], list[TargetGroup]]
BOTH = pytest.mark.parametrize("read", [groups_of_json, groups_of_yaml])


@BOTH
def test_the_form(read: Reader) -> None:
    """Prometheus's own form is read from both formats: JSON is YAML too."""
    text = '[{"targets": ["a/b/c", "a/b/d"], "labels": {"team": "edu", "__expected_start__": 100}}, {"targets": []}]'
    expected = [TargetGroup(["a/b/c", "a/b/d"], {"team": "edu", "__expected_start__": 100}), TargetGroup([], {})]
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
        (groups_of_json, "[" + "9" * 10_000 + "]", "is not JSON that can be read: a number in it is too long"),
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
