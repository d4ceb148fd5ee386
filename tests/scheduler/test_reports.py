import logging
from collections.abc import Callable
from typing import Any

import pytest

from exporter.enums import Status
from exporter.errors import AppRefused, NotFound, NotJson, Rejected, ServerFailed, Throttled, TimedOut
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.failure_log import SUMMARY

Worlds = Callable[..., Any]
RUNNING = Task(status=Status.RUNNING)
SUMMARIES = "account default: reads that failed in the last 5 min: "
ODD = ", others' perhaps too; such targets are read ever more rarely: "


@pytest.fixture(autouse=True)
def _at_info(caplog: pytest.LogCaptureFixture) -> None:
    """A failed read's own line is for debugging."""
    caplog.set_level(logging.INFO)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What was logged: level and message."""
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_throttling_is_told_when_it_begins_and_when_the_rate_is_full_again(
    world: Worlds, caplog: pytest.LogCaptureFixture
) -> None:
    """However often calls are throttled in between."""
    here = world(qps=10.0, answer=lambda _target: Throttled("too many", code="FlowLimitExceeded"))
    here.add_many(10)
    here.run(30)
    begun = told(caplog)
    here.answer = lambda _target: RUNNING
    here.run(60)
    beginning = "account default: the API throttles calls, so that they become fewer: too many (code=FlowLimitExceeded)"
    assert begun == [("WARNING", beginning)]
    assert told(caplog) == [*begun, ("INFO", "account default: calls go at their full rate again")]


def test_a_rate_that_cannot_fall_is_not_told_at_each_call(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """One call a second is the slowest there is, and full all the time; the end is five quiet seconds."""
    here = world(qps=1.0, answer=lambda _target: Throttled("too many"))
    here.add_many(10)
    here.run(30)
    assert [level for level, _ in told(caplog)] == ["WARNING"]
    here.answer = lambda _target: RUNNING
    here.run(7)
    assert [level for level, _ in told(caplog)] == ["WARNING", "INFO"]


@pytest.mark.parametrize("error", [NotJson("cut"), Rejected("no")])
def test_answers_of_no_use_are_told_once_for_all_targets(
    error: NotJson | Rejected, world: Worlds, caplog: pytest.LogCaptureFixture
) -> None:
    """With the first of them; the end comes when the last has a good answer."""
    here = world(answer=lambda target: RUNNING if target.task_id == "good" else error)
    here.add("good")
    here.add_many(20)
    here.run(60)
    (line,) = told(caplog)
    assert line[0] == "WARNING"
    assert line[1].startswith("account default: the answer for app/room/t")
    assert line[1].endswith(f" is of no use{ODD}{error}")
    here.answer = lambda target: error if target.task_id == "t7" else RUNNING
    here.run(230)
    assert told(caplog) == [line]
    here.answer = lambda _target: RUNNING
    here.run(310)
    ends = [each for each in told(caplog)[1:] if not each[1].startswith(SUMMARIES)]
    assert ends == [("INFO", "account default: the targets whose answers were of no use have good ones again")]


def test_a_target_that_is_read_no_more_is_at_odds_no_more(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """Its removal is an end too."""
    here = world(answer=lambda _target: NotJson("cut"))
    target = here.add("t")
    here.run(1)
    here.forget(target)
    here.run(1)
    assert [level for level, _ in told(caplog)] == ["WARNING", "INFO"]


def test_what_lasts_is_summed_up_every_five_minutes(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """How many reads failed and why; nothing while none fails."""
    here = world(answer=lambda _target: TimedOut("late"))
    here.add_many(100)
    here.run(2 * SUMMARY + 30)
    summaries = [line for level, line in told(caplog) if level == "WARNING" and line.startswith(SUMMARIES)]
    assert len(summaries) == 2
    assert summaries[1] in {f"{SUMMARIES}{count} timeout; the latest: late" for count in (59, 60, 61)}
    here.answer = lambda _target: RUNNING
    here.run(SUMMARY)
    before = len(told(caplog))
    here.run(3 * SUMMARY)
    assert len(told(caplog)) == before


def test_failures_here_and_there_are_summed_up_too(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """Each alone closes no gate and is no line; what is not found is no failure."""
    errors = {"t1": TimedOut("late"), "t2": ServerFailed("inside"), "t3": NotFound("no such task")}
    here = world(answer=lambda target: errors.get(target.task_id, RUNNING))
    here.add_many(20)
    here.run(SUMMARY + 30)
    assert told(caplog) == [("WARNING", f"{SUMMARIES}11 server, 11 timeout; the latest: inside")] or told(caplog) == [
        ("WARNING", f"{SUMMARIES}11 server, 11 timeout; the latest: late")
    ]


def test_a_refused_app_is_summed_up_beside_its_own_line(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """The account's summary counts it as `auth`."""
    here = world(answer=lambda target: AppRefused("no") if target.app_id == "bad" else RUNNING)
    here.add_many(5, app="bad")
    here.add("good", app="good")
    here.run(SUMMARY + 30)
    first, second = told(caplog)
    assert first[1].startswith("app bad: calls fail")
    assert second[1].startswith(SUMMARIES)
    assert second[1].endswith(" auth; the latest: no")


def test_a_late_answer_for_a_target_that_is_gone_is_not_told(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """It would never have an end."""
    here = world(answer=lambda _target: NotJson("cut"), latency=1.0)
    target: TargetId = here.add("t")
    here.run(0.5)
    here.forget(target)
    here.run(2)
    assert told(caplog) == []
