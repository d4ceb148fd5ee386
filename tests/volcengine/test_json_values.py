"""Single values of the reply that anybody may have written: host names, ids, emptiness."""

import pytest

from exporter.volcengine.replies import host_of, is_empty, user_id


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://xxxxx", "xxxxx"),
        ("https://Class.Example.COM/live", "class.example.com"),
        ("http://example.com:8080?token=t", "example.com"),
        ("HTTPS://example.com#token=t", "example.com"),
        ("//example.com/live", "example.com"),
        (" https://example.com/ ", "example.com"),
        ("https://user:pass@example.com:443/", "example.com"),
        ("https://user:p@ss@example.com/", "example.com"),
        ("https://example.com/?next=https://other.example/", "example.com"),
        ("https://example.com?mail=a@other.example", "example.com"),
        ("https://10.0.0.7/", "10.0.0.7"),
        ("https://[2001:DB8::1]:8443/", "2001:db8::1"),
        ("https://课堂.example/", "课堂.example"),
        ("https://" + "a" * 253, "a" * 253),
    ],
)
def test_the_host_is_found(url: str, host: str) -> None:
    """The host alone, in lower case: no scheme, user, password, port, path or query."""
    assert host == host_of(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/live?token=t",
        "token",
        "https://",
        "https:///path",
        "https://?token=t",
        "https://[::1",
        "https://[token]/",
        "https://user@",
        "https://user:pa/ss@example.com/",
        "https://user\\@example.com/",
        "https://host name/",
        "https://host\n.example/",
        "https://host\x00/",
        'https://host"},/',
        "https://%65xample.com/",
        "https://\ud800.example/",
        "https://" + "a" * 254,
        "https://example.com/" + "a" * 4096,
        "mailto:user@example.com",
        "https://" + "a@" * 2000,
        None,
        42,
        ["https://example.com"],
    ],
)
def test_what_has_no_host_gives_none(url: object) -> None:
    """Whatever is no URL with a host gives an empty string: no exception, and never a piece of a password."""
    assert host_of(url) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("webcast_1@a.b-c", ("webcast_1@a.b-c", True)),
        ("u" * 128, ("u" * 128, True)),
        ("u" * 129, ("u" * 128, False)),
        ("老师 1", ("老师 1", False)),
        ("a\nb\x00c", ("a\ufffdb\ufffdc", False)),
        ("u\n", ("u\ufffd", False)),
        ("", ("", False)),
        (None, ("", False)),
        (7, ("", False)),
    ],
)
def test_user_ids_are_bounded_and_printable(value: object, expected: tuple[str, bool]) -> None:
    """At most 128 characters, none of which can break a line or an encoding."""
    assert expected == user_id(value)


@pytest.mark.parametrize(
    ("value", "empty"),
    [
        (None, True),
        (0, True),
        (-0.0, True),
        ("0", True),
        (" 0.0 ", True),
        (" ", True),
        (False, True),
        ([], True),
        ({"a": [{"b": None}, "", [0, {}]]}, True),
        ({"a": [{"b": None}, "", [0, {"c": 1}]]}, False),
        ("x", False),
        (True, False),
        (float("nan"), False),
        (0.5, False),
    ],
)
def test_nothing_is_told_from_something(value: object, *, empty: bool) -> None:
    """All zero, however deep, is nothing; one value that says something makes it something."""
    assert empty == is_empty(value)


def test_depth_is_no_limit() -> None:
    """A reply nested deeper than Python recurses is looked through all the same."""
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert is_empty(value)
