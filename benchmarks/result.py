"""What a benchmark says: figures of ours and of another, and how they stand to each other."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table.

    `reach` is what the ratio should be, `hold` what it must be, both as sentences; `held` says whether it is.
    """

    what: str
    ours: str
    other: str
    ratio: str
    reach: str
    hold: str
    held: bool


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
    return Result(what, ours, other, f"{ratio:.1f}x", f">= {reach:g}x", f">= {hold:g}x", ratio >= hold)


def at_most(what: str, ratio: float, *, reach: float, hold: float, ours: str, other: str) -> Result:
    """We are to cost no more than so much of the other."""
    return Result(what, ours, other, f"{ratio:.2f}", f"<= {reach:g}", f"<= {hold:g}", ratio <= hold)


def table(results: Sequence[Result]) -> str:
    """As Markdown."""
    heads = ("what", "ours", "against", "ratio", "reach", "hold", "")
    rows = [(each.what, each.ours, each.other, each.ratio, each.reach, each.hold, _verdict(each)) for each in results]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _verdict(result: Result) -> str:
    return "held" if result.held else "NOT HELD"
