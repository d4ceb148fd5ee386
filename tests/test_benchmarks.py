"""How benchmarks judge and show their figures; `make bench` measures, no test does."""

import pytest

from benchmarks.result import at_least, at_most, percentile, table


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(50.0, "reached"), (30.0, "held"), (12.0, "NOT HELD"), (9.0, "NOT HELD")],
)
def test_what_is_to_be_better(ratio: float, verdict: str) -> None:
    """So many times faster: reached, held or not held."""
    result = at_least("a scrape", ratio, reach=40, hold=20, ours="1 ms", other="50 ms")
    assert result.verdict == verdict


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(0.7, "reached"), (0.9, "held"), (1.5, "NOT HELD"), (1.9, "NOT HELD")],
)
def test_what_is_to_cost_less(ratio: float, verdict: str) -> None:
    """So much of the other's cost."""
    result = at_most("a poll", ratio, reach=0.75, hold=0.9, ours="1 ms", other="1 ms")
    assert result.verdict == verdict


def test_the_table() -> None:
    result = at_least("a scrape", 87.25, reach=40, hold=20, ours="8.7 ms", other="759 ms")
    assert table([result]).splitlines() == [
        "| what | ours | against | ratio | reach | hold |  |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| a scrape | 8.7 ms | 759 ms | 87.2 | >= 40 | >= 20 | reached |",
    ]


def test_a_percentile_is_one_of_the_figures() -> None:
    """99 of 100 do not exceed it."""
    assert (percentile(range(1, 101), 0.99), percentile([7.0], 0.99)) == (100, 7.0)
