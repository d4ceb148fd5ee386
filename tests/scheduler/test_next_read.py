"""When a target is read next, as a person is told."""

from collections.abc import Callable
from typing import Any

import pytest

from exporter.enums import Status
from exporter.errors import CredentialsRefused
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.poller import EARLY, PROBING

Worlds = Callable[..., Any]


def test_a_running_task_has_its_interval(world: Worlds) -> None:
    """The moment that is told is the one at which it is read."""
    here = world()
    target = here.add("t")
    here.run(1)
    turn = here.poller.next_read(target)
    assert (turn.read_class, turn.held) == ("normal", "")
    here.run(40)
    read_at = here.times(target)[1] + here.wall
    assert turn.due == pytest.approx(read_at, abs=0.2)


def test_what_was_never_read_is_due_at_once(world: Worlds) -> None:
    """It has no read_class yet."""
    here = world()
    target = here.add("t")
    assert here.poller.next_read(target) == ("", here.unix(), "")


def test_before_its_expected_start(world: Worlds) -> None:
    here = world()
    target = here.add("t", expected_start=here.unix() + 3600)
    here.run(1)
    assert here.poller.next_read(target) == ("", pytest.approx(here.unix() + 3599, abs=0.2), EARLY)


def test_while_the_breaker_is_open(world: Worlds) -> None:
    here = world(answer=lambda _target: CredentialsRefused("no such key"))
    target = here.add("t")
    here.run(1)
    turn = here.poller.next_read(target)
    assert turn.held == PROBING
    assert here.unix() < turn.due <= here.unix() + 5


def test_while_it_is_read_and_when_it_takes_no_part(world: Worlds) -> None:
    """No moment, and nothing at all."""
    here = world(answer=lambda _target: None)
    target = here.add("t")
    here.run(1)
    assert here.poller.next_read(target) == ("", None, "")
    assert here.poller.next_read(TargetId("app", "room", "nobody")) is None


def test_a_stretched_interval_is_told_as_it_is_stretched(world: Worlds) -> None:
    """Far more tasks than the budget has calls for."""
    here = world(qps=2.0, answer=lambda _target: Task(Status.RUNNING))
    targets = [here.add(f"t{number}") for number in range(120)]
    here.run(200)
    dues = [here.poller.next_read(target).due - here.unix() for target in targets]
    assert min(dues) > -1
    assert 50 < max(dues) < 65
