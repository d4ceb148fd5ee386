"""A vendor for tests of run identity: one task id, used again and again, and answers about it that are hard to read.

StartTime may be forgotten, and an answer may arrive late: it then speaks of an earlier moment, even of an earlier run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import strategies as st

from exporter.enums import STATUS_OF_CODE, StopReason
from exporter.simulator.fleet import stop_reason
from exporter.simulator.lifecycle import (
    Ending,
    RunPlan,
    SimulatedRun,
    begin_run,
    queryable,
    task_document,
)

BEGAN = 1_700_000_000.0
LONGEST_DAY = 20_000.0
"""Seconds within which all of a drawn history happens."""


class VendorAnswer(NamedTuple):
    """An answer: when it arrives, of which moment it speaks (Unix seconds), the number of its run, and the task.

    Number and task are None when there is no such task at that moment.
    """

    arrives: float
    asked: float
    run: int | None
    document: dict[str, Any] | None

    @property
    def is_stop(self) -> bool:
        """Whether it tells that its run is over."""
        return self.document is not None and STATUS_OF_CODE[self.document["Status"]].stopped


@dataclass(frozen=True)
class VendorModel:
    """All runs of one task id, in the order of their creation; no two are live at once."""

    runs: tuple[SimulatedRun, ...]

    @classmethod
    def of_plans(cls, plans: Iterable[tuple[float, RunPlan]]) -> "VendorModel":
        """Runs one after the other, each created so many seconds after the end of the one before."""
        runs: list[SimulatedRun] = []
        after = BEGAN
        for pause, plan in plans:
            run = begin_run(plan, after + pause)
            if run.end is None:
                raise ValueError("a run without an end has no successor")
            runs.append(run)
            after = run.end / 1000
        return cls(tuple(runs))

    def answer(self, asked: float, *, late: float = 0.0, forgets_start: bool = False) -> VendorAnswer:
        """The answer to a question at `asked` (Unix seconds) that arrives `late` seconds later."""
        at = round(asked * 1000)
        number = max((number for number, run in enumerate(self.runs) if run.created <= at), default=None)
        if number is None or not queryable(self.runs[number], at):
            return VendorAnswer(asked + late, asked, None, None)
        document = task_document(self.runs[number], at)
        return VendorAnswer(asked + late, asked, number, document | ({"StartTime": 0} if forgets_start else {}))

    def stops(self, answers: Iterable[VendorAnswer]) -> dict[int, StopReason]:
        """The true reason of each run whose end was told by any of the answers: what must be counted, once each."""
        return {each.run: stop_reason(self.runs[each.run]) for each in answers if each.run is not None and each.is_stop}


@st.composite
def histories(draw: st.DrawFn, *, forgetful: bool = True, most_late: float = 120.0) -> tuple[Any, list[VendorAnswer]]:
    """A vendor model and the answers about it in the order of their arrival."""
    plans = draw(st.lists(st.tuples(st.floats(0.001, 600), _plans()), min_size=1, max_size=5))
    model = VendorModel.of_plans(plans)
    moments = draw(st.lists(st.floats(0, LONGEST_DAY), max_size=40))
    answers = [
        model.answer(
            BEGAN + moment,
            late=draw(st.sampled_from((0.0, 0.0, 0.0, draw(st.floats(0, most_late))))),
            forgets_start=forgetful and draw(st.booleans()),
        )
        for moment in moments
    ]
    return model, sorted(answers, key=lambda answer: answer.arrives)


@st.composite
def _plans(draw: st.DrawFn) -> RunPlan:
    ending = draw(st.sampled_from(Ending))
    starts = draw(st.none() | st.floats(0, 600)) if ending is Ending.START_FAILED else draw(st.floats(0, 600))
    ends = (starts or 0.0) + draw(st.floats(0, 3000))
    unknown = draw(st.sampled_from(((), ((ends * 0.3, ends * 0.6),), ((0.0, ends * 0.2),))))
    if ending is Ending.TIMED_OUT:
        ending = Ending.BROKE  # MaxRunningTime would end it
    return RunPlan(starts=starts, ends=ends, ending=ending, unknown=unknown)
