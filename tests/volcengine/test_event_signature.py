"""The digest of a callback, against worked examples."""

import itertools

import pytest

from exporter.volcengine.event_signature import event_signature

DATA = (
    '{"AppId":"661e0000000000000000543c","BusinessId":"","RoomId":"Room1",'
    '"TaskId":"Task1","Status":5,"Reason":"PageCrash"}'
)
VALUES = ("Webcast", DATA, "2026-01-15T08:30:05Z", "evt-0001", "661e0000000000000000543c", "2020-12-01", "4821")
SECRET = "my-callback-secret"
EXPECTED = "3b928346a9b9f2ec17d0ada0c17205b9e5d6774c11ef0306bf55cd6d2946a7d0"


def test_the_worked_example() -> None:
    """The eight values sorted, joined, digested, in lower-case hex."""
    assert event_signature(VALUES, SECRET) == EXPECTED


def test_the_vendors_sample_text() -> None:
    """The eight words of the vendor's page; the digest printed there is not that of its own text."""
    words = [f"{name}Val" for name in ("EventType", "EventData", "EventTime", "EventId", "AppID", "Version", "Nonce")]
    joined = "7938fac5735d71d8bf383f7587858a7c6d4e7fd214b28fd203335d250b8c6257"
    assert joined == event_signature(words, "SecretKeyVal")


def test_the_order_of_the_values_does_not_matter() -> None:
    """They are sorted; so is the secret among them."""
    assert {EXPECTED} == {event_signature(order, SECRET) for order in itertools.permutations(VALUES)}


def test_values_are_sorted_by_their_bytes() -> None:
    """Capitals before small letters, and Chinese after both, whatever a locale says."""
    assert event_signature(["b", "\u7f51", "A"], "a") == event_signature(["\u7f51", "a", "b"], "A")
    assert event_signature(["b", "A"], "a") == event_signature(["Aa"], "b")


@pytest.mark.parametrize("place", range(len(VALUES)))
def test_every_value_counts(place: int) -> None:
    """A change of one value is another signature."""
    changed = [value + " " if index == place else value for index, value in enumerate(VALUES)]
    assert event_signature(changed, SECRET) != EXPECTED
    assert event_signature(VALUES, SECRET + " ") != EXPECTED


def test_half_a_character_cannot_be_signed() -> None:
    """JSON can write a lone surrogate, which has no bytes."""
    with pytest.raises(UnicodeEncodeError):
        event_signature(["\ud800"], SECRET)
