from datetime import date

import pytest

from exporter.config.documents import parse_yaml, typed
from exporter.errors import ConfigError

LAUGHS = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    + [
        f"{name}: &{name} [{', '.join(['*' + before] * 10)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
)
MERGED_LAUGHS = LAUGHS.replace("[x, x, x, x, x, x, x, x, x, x]", "{k: x}").replace("[", "{<<: [").replace("]", "]}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a: 'x",
            "the file is not YAML at line 1, column 6: while scanning a quoted scalar, found unexpected end of stream",
        ),
        ("a: 1\nb: c: d", "the file is not YAML at line 2, column 5: mapping values are not allowed in this context"),
        ("a: \x00", "the file is not YAML: there is a control or otherwise impossible character in it"),
        ("a: 1\n---\nb: 1", "expected a single document in the stream"),
        ("[" * 100_000, "the file is not YAML: nested deeper than 50 levels"),
        ("- " * 100_000, "the file is not YAML: nested deeper than 50 levels"),
        ("? [x]\n: 1", "a key must be a string"),
        ("{a: &a [x], *a : 1}", "a key must be a string (line 1, column 13)"),
        ("a: !!python/object:os.system {}", "a: no tags (! before a value) are known here"),
        ("a: !!set {x}", "a: no tags (! before a value) are known here"),
        ("a: &a [*a]", "a[0]: an alias stands inside of what it repeats"),
        ("a: &a {<<: *a}", "a: an alias stands inside of what it repeats"),
        ("a: {<<: 5}", "the file is not YAML at line 1, column 9"),
        (LAUGHS, "has more than 300,000 values once its aliases are written out"),
        (MERGED_LAUGHS, "has more than 300,000 values once its aliases are written out"),
    ],
)
def test_what_cannot_be_built(text: str, problem: str) -> None:
    """Each kind of bad YAML is one sentence, with its place where there is one, and never another exception."""
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a: *hunter2", "a: !hunter2 x", "%hunter2\n---\na: 1", "a: &hunter2 &x 1", "a: 'hunter2"]
)
def test_yaml_errors_tell_no_content(text: str) -> None:
    """A secret without quotes can be bad YAML; its text stays out of the sentence and of the exception's chain."""
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_repeated_key() -> None:
    """A key that is there twice is told with its path and both lines, and does not hide what else is wrong."""
    _, repeated = parse_yaml("a:\n  - b: 1\n    c: 2\n    b: 3\n")
    assert [str(problem) for problem in repeated] == ["a[0].b: is there twice, on line 2 and line 4"]


def test_anchors_and_merges_are_fine() -> None:
    """Aliases may repeat a value, and a merged key may be overridden, which is no repeated key."""
    assert parse_yaml("{a: &a x, *a : 1}") == ({"a": "x", "x": "1"}, [])
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\nd: {<<: [{x: 5}, *a]}") == (
        {"a": {"x": "1", "y": "2"}, "b": {"x": "1", "y": "3"}, "c": {"x": "1", "y": "2"}, "d": {"x": "5", "y": "2"}},
        [],
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("0x1f", 31),
        ("010", 8),
        ("1_000", 1000),
        ("1.50", 1.5),
        ("8:30", 510),
        ("yes", True),
        ("Off", False),
        ("2026-01-15", date(2026, 1, 15)),
        ("2026-13-45", "2026-13-45"),
        ("!!int x", "x"),
        ("!!int '-'", "-"),
        ("!!float ''", ""),
        ("'1'", "1"),
        ("=", "="),
        ("<<", "<<"),
        ("text", "text"),
    ],
)
def test_a_value_is_its_text_until_another_is_meant(written: str, value: object) -> None:
    """YAML 1.1 has numbers, booleans and dates where people mean text; both can be had."""
    document, _ = parse_yaml(f"a: {written}")
    assert isinstance(document, dict)
    assert document["a"] == written.removeprefix("!!int ").removeprefix("!!float ").strip("'")
    assert typed(document["a"]) == value
    assert parse_yaml("a:\nb: ~\nc: null\nd: ''")[0] == {"a": None, "b": None, "c": None, "d": ""}
    assert parse_yaml("{yes: 1, 2026-01-15: 2, 3: 4, ~: 5}")[0] == {"yes": "1", "2026-01-15": "2", "3": "4", "~": "5"}


@pytest.mark.parametrize("text", ["", "   ", "# nothing\n", "---\n"])
def test_an_empty_document(text: str) -> None:
    """Nothing, or nothing but comments, is None."""
    assert parse_yaml(text) == (None, [])
