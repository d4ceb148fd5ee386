"""What names a target."""

import pytest

from exporter.model.target import Target, TargetId

GOOD = "a-z_@.9"


@pytest.mark.parametrize("text", ["app/room/task", f"{GOOD}/{GOOD}/{GOOD}", f"{'a' * 128}/r/t", "./../."])
def test_a_name_is_read_back(text: str) -> None:
    """What is written is what was read: no id can hold the slash between them."""
    assert text == str(TargetId.parse(text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not APP_ID/ROOM_ID/TASK_ID"),
        ("app/room", "is not APP_ID/ROOM_ID/TASK_ID"),
        ("app/room/task/more", "is not APP_ID/ROOM_ID/TASK_ID"),
        ("/room/task", "app id '' must be"),
        ("app//task", "room id '' must be"),
        ("app/room/", "task id '' must be"),
        ("app/room/task\n", r"task id 'task\\n' must be"),
        ("app/room/t sk", "task id 't sk' must be"),
        (f"app/{'r' * 129}/task", "room id 'r+' must be 1 to 128"),
        ("app/room/t\u00e4sk", "task id"),
        ("app/room/\u0661", "task id"),
    ],
)
def test_a_bad_name_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    """Each id is what the vendor takes; the sentence names the one that is not."""
    with pytest.raises(ValueError, match=sentence):
        TargetId.parse(text)


@pytest.mark.parametrize("text", ["https://u:secret@a.example/", "a/b/c?token=secret", "a.example/x/y/z?secret"])
def test_a_url_in_the_place_of_a_name_is_not_told(text: str) -> None:
    """A SourceURL that is listed by mistake: its user and its query may be secrets."""
    with pytest.raises(ValueError, match=r"must be|is not") as raised:
        TargetId.parse(text)
    assert "secret" not in str(raised.value)


def test_a_sentence_is_short() -> None:
    """A megabyte where a target should stand makes no megabyte of log."""
    for text in ("x" * 10**6, f"app/room/{'x' * 10**6}"):
        with pytest.raises(ValueError, match="x") as raised:
            TargetId.parse(text)
        assert len(str(raised.value)) < 400


def test_a_target_needs_its_name_and_its_account() -> None:
    """All else may be unsaid, and no two targets share what is unsaid."""
    target = Target(TargetId("app", "room", "task"), "default")
    assert (frozenset(), {}, None, None) == (
        target.sources,
        target.labels,
        target.expected_start,
        target.expected_end,
    )
    assert Target(target.id, "default").labels is not target.labels
