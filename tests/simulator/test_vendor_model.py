"""The vendor model of the property tests: what it answers and what must be counted."""

from itertools import pairwise

from hypothesis import given, settings

from exporter.enums import StopReason
from exporter.simulator.lifecycle import Ending, RunPlan
from tests.support.vendor_model import BEGAN, VendorAnswer, VendorModel, histories

MODEL = VendorModel.of_plans(
    [
        (0.0, RunPlan(starts=10, ends=100, ending=Ending.STOPPED_BY_API)),
        (50.0, RunPlan(starts=None, ends=30, ending=Ending.START_FAILED)),
    ]
)


def test_an_answer_speaks_of_the_moment_it_was_asked_for() -> None:
    """A late one tells of an earlier run after a later one was told; a forgotten StartTime is 0, EndTime is not."""
    late = MODEL.answer(BEGAN + 120, late=60)
    failed = MODEL.answer(BEGAN + 180, forgets_start=True)
    assert (late.arrives, late.run, failed.run) == (BEGAN + 180, 0, 1)
    assert late.document is not None
    assert failed.document is not None
    times = [
        (document["StartTime"] / 1000, document["EndTime"] / 1000) for document in (late.document, failed.document)
    ]
    assert times == [(BEGAN + 10, BEGAN + 100), (0, BEGAN + 180)]
    forgotten = MODEL.answer(BEGAN + 120, forgets_start=True).document
    assert forgotten is not None
    assert (forgotten["StartTime"], forgotten["EndTime"]) == (0, late.document["EndTime"])
    assert MODEL.answer(BEGAN - 1) == VendorAnswer(BEGAN - 1, BEGAN - 1, None, None)
    assert MODEL.answer(BEGAN + 180 + 73 * 3600).document is None


def test_what_must_be_counted() -> None:
    """Each run whose end any answer told, once, with its true reason."""
    answers = [MODEL.answer(BEGAN + after) for after in (5, 50, 120, 130, 160, 190, 200)]
    assert MODEL.stops(answers[:2]) == {}
    assert MODEL.stops(answers) == {0: StopReason.STOP_BY_API, 1: StopReason.START_TASK_FAILED}


@settings(deadline=None)
@given(history=histories())
def test_histories_are_as_promised(history: tuple[VendorModel, list[VendorAnswer]]) -> None:
    """Runs follow each other, and answers come in the order of their arrival, each with what was true when asked."""
    model, answers = history
    assert all(one.end is not None and one.end <= following.created for one, following in pairwise(model.runs))
    assert all(one.arrives <= following.arrives for one, following in pairwise(answers))
    assert all(answer.asked <= answer.arrives for answer in answers)
    assert model.stops(answers).keys() <= set(range(len(model.runs)))
