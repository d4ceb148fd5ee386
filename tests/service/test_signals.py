import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from unittest.mock import Mock

import pytest

from exporter.config.fields import StateUrl
from exporter.config.schema import State
from exporter.service.serve import hold_state, serve
from exporter.service.signals import LOOK_INTERVAL, SignalAction, Signals
from exporter.store.lease import FileLock
from tests.support.small_world import World


class Scripted(Signals):
    """Signals that arrive by a script: one action for each wait, then none."""

    def __init__(self, *actions: SignalAction | None) -> None:
        super().__init__()
        self.script = list(actions)
        self.between: Callable[[], None] = lambda: None

    def wait(self, seconds: float | None = None) -> SignalAction | None:
        """The next of the script."""
        assert seconds is not None
        self.between()
        return self.script.pop(0) if self.script else None


def test_a_second_process_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While another process holds the state it waits and says so once; it goes on when that one ends."""
    state = State(url=StateUrl(f"sqlite:///{tmp_path}/state.db"))
    first = hold_state(state, Scripted())
    assert first is not None
    signals = Scripted(None, SignalAction.RELOAD, None)
    signals.between = lambda: first.release() if len(signals.script) == 1 else None
    second = hold_state(state, signals)
    assert second is not None
    second.release()
    assert caplog.text.count("waiting for another process to release the state") == 1


def test_a_second_process_can_be_stopped_while_it_waits(tmp_path: Path) -> None:
    """A stop ends the waiting, and what is waited for stays the other's."""
    state = State(url=StateUrl(f"sqlite:///{tmp_path}/state.db"))
    first = hold_state(state, Scripted())
    assert first is not None
    assert hold_state(state, Scripted(None, SignalAction.STOP)) is None
    assert hold_state(state, Scripted(SignalAction.STOP)) is None
    first.release()


def test_a_stop_while_it_waits_is_a_clean_end(world: World, at_sigterm: Callable[[], None]) -> None:
    """Then nothing was opened and no call made."""
    holder = FileLock(world.folder / "state.db")
    assert holder.acquire(lambda: False)
    threading.Timer(0.05, at_sigterm).start()
    serve(world.load, ["127.0.0.1:0"], {})
    assert sum(world.simulation.calls.counts.values()) == 0
    holder.release()


def test_several_signals_are_one_wish() -> None:
    """A stop comes before every reload, and fifty reloads are one."""
    signals = Signals()
    assert signals.wait(0.0) is None
    for action in (SignalAction.RELOAD, SignalAction.RELOAD, SignalAction.STOP, SignalAction.RELOAD):
        signals._arrived.put(action)
    assert signals.wait() is SignalAction.STOP
    signals._arrived.put(SignalAction.RELOAD)
    assert signals.wait(1) is SignalAction.RELOAD
    assert signals.wait(0.0) is None


def test_a_wait_without_end_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes just before the main thread begins to wait is handled all the same, when it looks again."""
    signals, waits = Signals(), []

    def get(timeout: float | None) -> SignalAction:
        waits.append(timeout)
        if len(waits) < 3:
            raise Empty
        return SignalAction.STOP

    monkeypatch.setattr(signals, "_arrived", Mock(get=get, empty=lambda: True))
    assert signals.wait() is SignalAction.STOP
    assert waits == [LOOK_INTERVAL] * 3


def test_only_a_stop_ends_a_wait_for_one() -> None:
    """A reload is left for the next wait."""
    signals = Signals()
    signals._arrived.put(SignalAction.RELOAD)
    assert not signals.stops_within(0.01)
    assert signals.wait(0.0) is SignalAction.RELOAD
    signals._arrived.put(SignalAction.STOP)
    assert signals.stops_within(60)
    assert not signals.stops_within(0.0)


def test_signals_arrive(at_sigterm: Callable[[], None]) -> None:
    """SIGTERM and SIGINT stop, SIGHUP reloads."""
    signals = Signals()
    signals.listen()
    at_sigterm()
    assert signals.wait(5) is SignalAction.STOP
    for number, action in ((signal.SIGINT, SignalAction.STOP), (signal.SIGHUP, SignalAction.RELOAD)):
        os.kill(os.getpid(), number)
        assert signals.wait(5) is action


@pytest.mark.parametrize("ends_in_time", [True, False])
def test_a_stop_that_takes_too_long_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, at_sigterm: Callable[[], None], *, ends_in_time: bool
) -> None:
    """After the deadline, whatever hangs; not once the stop has come to its end."""
    monkeypatch.setattr("exporter.service.signals.STOP_DEADLINE", 0.05)
    ended = threading.Event()
    signals = Signals()
    signals.listen(ended.set)
    if ends_in_time:
        signals.close()
    at_sigterm()
    assert signals.wait(60) is SignalAction.STOP
    assert ended.wait(0.5 if ends_in_time else 60) is not ends_in_time
    signals.close()
