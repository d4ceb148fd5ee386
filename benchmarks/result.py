"""What a benchmark says: figures of ours and of another, and how they stand to each other."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table.

    `ratio` is to reach `reach` and must keep `hold`: either it is to be no less, or (`is_cost`) no more.
    """

    what: str
    ours: str
    other: str
    ratio: float
    reach: float
    hold: float
    is_cost: bool

    @property
    def held(self) -> bool:
        """Whether it is as good as it must be."""
        return self._keeps(self.hold)

    @property
    def verdict(self) -> str:
        """In a word or two."""
        return "reached" if self._keeps(self.reach) else "held" if self.held else "NOT HELD"

    def _keeps(self, bound: float) -> bool:
        return self.ratio <= bound if self.is_cost else self.ratio >= bound


def interleaved(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure over so many rounds; all of them run in each round, so that a busy moment hits all."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for figures, measure in zip(found, measures, strict=True):
            figures.append(measure())
    return [statistics.median(figures) for figures in found]


def percentile(figures: Sequence[float], share: float) -> float:
    """The smallest figure that so large a share of them does not exceed."""
    return sorted(figures)[max(0, round(share * len(figures) + 0.5) - 1)]


def at_least(what: str, ratio: float, *, reach: float, hold: float, ours: str, other: str) -> Result:
    """We are to be so many times better."""
    return Result(what, ours, other, ratio, reach, hold, is_cost=False)


def at_most(what: str, ratio: float, *, reach: float, hold: float, ours: str, other: str) -> Result:
    """We are to cost no more than so much of the other."""
    return Result(what, ours, other, ratio, reach, hold, is_cost=True)


def table(results: Sequence[Result]) -> str:
    """As Markdown."""
    heads = ("what", "ours", "against", "ratio", "reach", "hold", "")
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(result))} |" for result in results)])


def _cells(result: Result) -> tuple[str, ...]:
    bound = "<=" if result.is_cost else ">="
    ratio, reach, hold = (f"{figure:.3g}" for figure in (result.ratio, result.reach, result.hold))
    return result.what, result.ours, result.other, ratio, f"{bound} {reach}", f"{bound} {hold}", result.verdict
