"""Faults on demand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exporter.model.credentials import Credentials
from exporter.simulator.faults import FAULTS, FaultMode
from exporter.simulator.gateway import Gateway
from exporter.simulator.replies import Reply
from exporter.simulator.wire import Request

Signed = Callable[..., Request]
Error = Callable[[Reply], dict[str, Any]]


@pytest.mark.parametrize(
    ("mode", "expected", "outcome"),
    [
        (FaultMode.THROTTLE, {"http": 200, "Code": "FlowLimitExceeded.QPSOverLimit"}, "throttled"),
        (FaultMode.SERVER_ERROR, {"http": 500, "Code": "InternalError", "CodeN": 100014}, "failed"),
    ],
)
def test_a_fault_takes_the_place_of_an_answer(
    *,
    mode: FaultMode,
    expected: dict[str, Any],
    outcome: str,
    gateway: Gateway,
    signed: Signed,
    error: Error,
    now: float,
) -> None:
    """A mode answers every call in order with its error, is counted so, and ends when it is switched off."""
    gateway.faults.mode = mode
    reply = gateway.answer(signed(), now)
    assert (expected, outcome) == (error(reply), reply.outcome)
    assert gateway.calls.counts[reply.outcome] == 1
    gateway.faults.mode = FaultMode.NONE
    assert gateway.answer(signed(), now).outcome == "answered"


def test_latency_delays_and_changes_nothing(gateway: Gateway, signed: Signed, now: float) -> None:
    """The reply is the right one, later; the gateway itself never waits."""
    gateway.faults.mode = FaultMode.LATENCY
    gateway.faults.latency = 3.5
    reply = gateway.answer(signed(), now)
    assert (reply.delay, reply.document["Result"]["WebcastTask"]["Status"]) == (3.5, 2)


def test_a_stranger_meets_no_fault(
    gateway: Gateway, signed: Signed, error: Error, credentials: Credentials, now: float
) -> None:
    """Faults are of calls whose signature is good: a wrong key is told as such."""
    gateway.faults.mode = FaultMode.SERVER_ERROR
    reply = gateway.answer(signed(by=replace(credentials, access_key="unknown")), now)
    assert error(reply)["Code"] == "InvalidAccessKey"


def test_every_mode_has_its_fault() -> None:
    """The table is complete."""
    assert set(FaultMode) == set(FAULTS)
