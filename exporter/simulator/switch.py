"""`/fault`: the page by which a person, or a script, sets the fault in force."""

import math
from collections.abc import Mapping
from typing import Any

from exporter.model.target import ID_PATTERN
from exporter.simulator.faults import Faults
from exporter.simulator.modes import AT_THE_DOOR, NEED_TLS, FaultMode
from exporter.simulator.replies import Outcome, Reply
from exporter.simulator.wire import Request

PATH = "/fault"
NAMES = frozenset({"mode", "only", "seconds", "latency", "retry_after", "ahead"})
LONGEST = 86_400.0


class Wrong(Exception):
    """What was asked for makes no sense; the message says why."""


def fault_page(faults: Faults, request: Request, at: float, *, tls: bool) -> Reply:
    """GET tells the fault in force and those there are, POST `?mode=MODE` sets it; `tls`: this is an https endpoint."""
    if request.method == "POST":
        try:
            _set(faults, dict(request.pairs), at, tls=tls)
        except Wrong as wrong:
            return Reply(400, {"error": str(wrong)}, Outcome.REFUSED)
    return Reply(200, _shown(faults, at))


def _set(faults: Faults, asked: Mapping[str, str], at: float, *, tls: bool) -> None:
    unknown = asked.keys() - NAMES
    if unknown:
        raise Wrong(f"{min(unknown)} is none of {', '.join(sorted(NAMES))}")
    if asked.get("mode") not in list(FaultMode):
        raise Wrong("mode is none of those that GET /fault lists")
    mode, only = FaultMode(asked["mode"]), asked.get("only", "")  # type: ignore[call-arg]  # mypy takes it for __new__
    seconds = _number(asked, "seconds", math.inf)
    if mode in AT_THE_DOOR and (only or seconds == math.inf):
        raise Wrong(f"{mode} takes `seconds`, for it cannot be ended over HTTP, and no `only`, for it is everybody's")
    if mode in NEED_TLS and not tls:
        raise Wrong(f"{mode} needs an https endpoint: start it with --tls")
    if only and not all(ID_PATTERN.fullmatch(part) for part in only.split("/")):
        raise Wrong("only names an app, or a task as APP/ROOM/TASK")
    faults.latency = _number(asked, "latency", faults.latency)
    faults.retry_after = int(_number(asked, "retry_after", faults.retry_after))
    faults.ahead = _number(asked, "ahead", faults.ahead, least=-LONGEST)
    faults.begin(mode, only=only, until=at + seconds)


def _number(asked: Mapping[str, str], name: str, default: float, least: float = 0.0) -> float:
    if name not in asked:
        return default
    try:
        value = float(asked[name])
    except ValueError:
        value = math.nan
    if not least <= value <= LONGEST:
        raise Wrong(f"{name} must be a number of seconds from {least:g} to {LONGEST:g}")
    return value


def _shown(faults: Faults, at: float) -> dict[str, Any]:
    return {
        "mode": faults.mode,
        "only": faults.only,
        "seconds_left": None if faults.until == math.inf else max(0.0, faults.until - at),
        "modes": {mode.value: mode.says for mode in FaultMode},
    }
