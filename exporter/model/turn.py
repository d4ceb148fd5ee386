"""When a target will be read next."""

from typing import NamedTuple


class NextRead(NamedTuple):
    """A target's place in its account's round.

    `due` is the moment of its next read in Unix seconds, None while it is being read; a past one says that it waits for
    the budget. `lane` is the kind of wait, empty before its first read. `held` says why no call goes before that.
    """

    lane: str
    due: float | None
    held: str = ""
