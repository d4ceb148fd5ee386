"""A target: one WebCast task, named by APP_ID/ROOM_ID/TASK_ID."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.enums import Source

ID_PATTERN = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
"""What the vendor allows in each of the three ids (volcengine.com/docs/6348/69828)."""
MAX_SHOWN_CHARS = 200


class TargetId(NamedTuple):
    """The triple that names a task. A TaskId alone is not unique (volcengine.com/docs/6348/119513)."""

    app_id: str
    room_id: str
    task_id: str

    def __str__(self) -> str:
        """`APP_ID/ROOM_ID/TASK_ID`; unambiguous, because no id can hold a slash."""
        return "/".join(self)

    @classmethod
    def parse(cls, text: object) -> "TargetId":
        """Read `APP_ID/ROOM_ID/TASK_ID`; ValueError with a sentence for a person."""
        if not isinstance(text, str):
            raise ValueError("must be APP_ID/ROOM_ID/TASK_ID")  # noqa: TRY004 - callers show every ValueError of a target
        ids = text.split("/")
        if len(ids) != len(cls._fields):
            raise ValueError(f"{_shown(text)} is not APP_ID/ROOM_ID/TASK_ID")
        return cls.checked(*ids)

    @classmethod
    def checked(cls, app_id: str, room_id: str, task_id: str) -> "TargetId":
        """Build from three ids; ValueError names the one the vendor would refuse."""
        for name, value in zip(("app id", "room id", "task id"), (app_id, room_id, task_id), strict=True):
            if not ID_PATTERN.fullmatch(value):
                raise ValueError(f"{name} {_shown(value)} must be 1 to 128 of the characters a-z A-Z 0-9 _ @ - .")
        return cls(app_id, room_id, task_id)


def _shown(text: str) -> str:
    """What is no target, for a sentence; of a URL neither user nor query, which may be a secret."""
    return "a URL" if "://" in text else repr(text.partition("?")[0][:MAX_SHOWN_CHARS])


@dataclass(frozen=True, slots=True)
class Target:
    """An accepted target: who reads it, what it was meant to be, and the labels it may show.

    `expected_start` and `expected_end` are Unix seconds; `labels` are the target's own without `__*`.
    """

    id: TargetId
    account: str
    sources: frozenset[Source] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    expected_start: float | None = None
    expected_end: float | None = None
