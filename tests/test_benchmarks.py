"""How benchmarks judge and show their figures; `make bench` measures, no test does."""

import pytest

from benchmarks.result import at_least, at_most, percentile, table


@pytest.mark.parametrize(
    ("ratio", "verdict", "far_off"),
    [(50.0, "reached", False), (30.0, "held", False), (12.0, "NOT HELD", False), (9.0, "NOT HELD", True)],
)
def test_what_is_to_be_better(ratio: float, verdict: str, far_off: bool) -> None:  # noqa: FBT001 - a row
    """So many times faster: reached, held, not held, far off."""
    result = at_least("a scrape", ratio, reach=40, hold=20, ours="1 ms", other="50 ms")
    assert (result.verdict, result.far_off) == (verdict, far_off)


@pytest.mark.parametrize(
    ("ratio", "verdict", "far_off"),
    [(0.7, "reached", False), (0.9, "held", False), (1.5, "NOT HELD", False), (1.9, "NOT HELD", True)],
)
def test_what_is_to_cost_less(ratio: float, verdict: str, far_off: bool) -> None:  # noqa: FBT001 - a row
    """So much of the other's cost."""
    result = at_most("a poll", ratio, reach=0.75, hold=0.9, ours="1 ms", other="1 ms")
    assert (result.verdict, result.far_off) == (verdict, far_off)


def test_the_table() -> None:
    """Markdown, as it stands in docs/performance.md."""
    result = at_least("a scrape", 87.25, reach=40, hold=20, ours="8.7 ms", other="759 ms")
    assert table([result]).splitlines() == [
        "| what | ours | against | ratio | reach | hold |  |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| a scrape | 8.7 ms | 759 ms | 87.2 | >= 40 | >= 20 | reached |",
    ]


def test_a_percentile_is_one_of_the_figures() -> None:
    """99 of 100 do not exceed it."""
    assert (percentile(range(1, 101), 0.99), percentile([7.0], 0.99)) == (100, 7.0)
