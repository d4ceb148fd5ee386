"""The texts of many tasks, joined already: what a read changes is put in its place, and a scrape only takes.

A shelf holds the texts of up to PLACES tasks, one behind the other, family by family. To put one family of one task in
place copies the shelf's text of that family, some 20 KB; to join 3,600 tasks at each scrape would touch 80,000 texts.
"""

from array import array
from collections.abc import Mapping

from exporter.model.target import TargetId

PLACES = 128


class Shelf:
    """`width` texts, each of them all tasks' of one family; how long each task's part is tells where it stands."""

    __slots__ = ("free", "lengths", "texts")

    def __init__(self, width: int) -> None:
        self.texts = [b""] * width
        self.lengths = [array("L", [0]) * PLACES for _ in range(width)]
        self.free = list(reversed(range(PLACES)))

    def put(self, place: int, family: int, text: bytes) -> None:
        """Put a text in the place of the one that was there."""
        lengths, whole = self.lengths[family], self.texts[family]
        start = sum(lengths[:place])
        self.texts[family] = b"".join((whole[:start], text, whole[start + lengths[place] :]))
        lengths[place] = len(text)


class Shelves:
    """Every task's texts, `width` of them each. Not safe for threads: its owner holds a lock."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._shelves: list[Shelf] = []
        self._places: dict[TargetId, tuple[Shelf, int]] = {}

    def __contains__(self, target: TargetId) -> bool:
        """Whether a task has texts here."""
        return target in self._places

    def put(self, target: TargetId, texts: Mapping[int, bytes]) -> None:
        """Put up a task's texts by the number of their family; those that are not given stay as they are."""
        shelf, place = self._places.get(target) or self._new_place(target)
        for family, text in texts.items():
            shelf.put(place, family, text)

    def remove(self, target: TargetId) -> None:
        """Take all of a task's texts down."""
        if target not in self._places:
            return
        shelf, place = self._places.pop(target)
        for family in range(self._width):
            shelf.put(place, family, b"")
        shelf.free.append(place)
        if len(shelf.free) == PLACES:
            self._shelves.remove(shelf)

    def columns(self) -> list[list[bytes]]:
        """Family by family, what all shelves hold at this moment."""
        return [[shelf.texts[family] for shelf in self._shelves] for family in range(self._width)]

    def _new_place(self, target: TargetId) -> tuple[Shelf, int]:
        shelf = next((shelf for shelf in reversed(self._shelves) if shelf.free), None)
        if shelf is None:
            shelf = Shelf(self._width)
            self._shelves.append(shelf)
        self._places[target] = shelf, shelf.free.pop()
        return self._places[target]
