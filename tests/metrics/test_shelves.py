"""Shelves hold what was put on them last, wherever it stands, and nothing of what was taken down."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.metrics.shelves import PLACES, Shelves
from exporter.model.target import TargetId

WIDTH = 3


def task(number: int) -> TargetId:
    """One of many."""
    return TargetId("app", "room", str(number))


class Storeroom(RuleBasedStateMachine):
    """Shelves, and a plain dictionary beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.shelves = Shelves(WIDTH)
        self.expected: dict[TargetId, list[bytes]] = {}

    @rule(number=st.integers(0, 5), texts=st.dictionaries(st.integers(0, WIDTH - 1), st.binary(max_size=9)))
    def a_read_changes_some_texts(self, number: int, texts: dict[int, bytes]) -> None:
        """The others stay as they are; a new task's are empty."""
        self.shelves.put(task(number), texts)
        kept = self.expected.setdefault(task(number), [b""] * WIDTH)
        for family, text in texts.items():
            kept[family] = text

    @rule(number=st.integers(0, 5))
    def a_task_goes(self, number: int) -> None:
        """Whether it was there or not."""
        self.shelves.remove(task(number))
        self.expected.pop(task(number), None)

    @rule(first=st.sampled_from([1000, 2000]))
    def many_come(self, first: int) -> None:
        """More than one shelf holds."""
        for number in range(first, first + PLACES + 1):
            self.a_read_changes_some_texts(number, {0: b"%d" % number})

    @rule(first=st.sampled_from([1000, 2000]))
    def many_go(self, first: int) -> None:
        """All of them."""
        for number in range(first, first + PLACES + 1):
            self.a_task_goes(number)

    @invariant()
    def all_is_there_once(self) -> None:
        """Family by family; no empty shelf is kept."""
        for family, column in enumerate(self.shelves.columns()):
            texts = [texts[family] for texts in self.expected.values()]
            assert len(b"".join(column)) == sum(map(len, texts))
            assert sorted(b"".join(column)) == sorted(b"".join(texts))
            assert all(text in b"".join(column) for text in texts)
        assert {target for target in self.expected if target not in self.shelves} == set()
        assert bool(self.expected) == bool(self.shelves.columns()[0])


TestStoreroom = Storeroom.TestCase
