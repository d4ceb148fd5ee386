"""What can be asked of the vendor: GetWebCastTask, StartWebcast, StopWebcast; their parameters and results."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from exporter.model.target import ID_PATTERN, TargetId
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Plan, begin, document, queryable
from exporter.simulator.replies import (
    BAD_BODY,
    EMPTY_BODY,
    ILLEGAL_APP_ID,
    ILLEGAL_ROOM_ID,
    INVALID_PARAMETER,
    MISSING_PARAMETER,
    TASK_NOT_FOUND,
    NotFoundForm,
    Refusal,
    Style,
    without_zeros,
)
from exporter.simulator.settings import Settings, read_settings

START_DELAY = 1.0
"""Seconds from StartWebcast until the task runs."""
STARTED_ALREADY = "The task has been started. Please do not call the startup task interface repeatedly"
ILLEGAL = {"AppId": ILLEGAL_APP_ID, "RoomId": ILLEGAL_ROOM_ID, "TaskId": INVALID_PARAMETER}
ALL_ZERO = {
    "StartTime": 0,
    "EndTime": 0,
    "Status": 0,
    "StopReason": "",
    **Settings(user_id="", source_url="", video=(), max_running_time=0).document(),
}


class Ask(NamedTuple):
    """One call in order: for which task, with which parameters, at what time (Unix seconds), to be told how."""

    target: TargetId
    fields: Mapping[str, Any]
    at: float
    style: Style


class Operation(NamedTuple):
    """One action: its method, where its parameters are, its rate limit (calls a second and account), what it does."""

    method: str
    fields: Callable[[Mapping[str, str], bytes], Mapping[str, Any]]
    qps: int
    run: Callable[[Fleet, Ask], object]


def target_of(fields: Mapping[str, Any]) -> TargetId:
    """The three ids, checked; raises Refusal."""
    for name, illegal in ILLEGAL.items():
        value = fields.get(name)
        if not value:
            raise Refusal(MISSING_PARAMETER, f"The required parameter {name} is missing.")
        if not isinstance(value, str) or not ID_PATTERN.fullmatch(value):
            raise Refusal(illegal, f"{name} {value!r} is illegal.")
    return TargetId(*(fields[name] for name in ILLEGAL))


def get_task(fleet: Fleet, ask: Ask) -> object:
    """GetWebCastTask: the latest life of a task, within 72 hours of its start."""
    at = int(ask.at * 1000)
    life = fleet.life(ask.target, at)
    if life is not None and queryable(life, at):
        return _task_result(document(life, at), ask.style)
    if ask.style.not_found is NotFoundForm.ERROR:
        raise Refusal(TASK_NOT_FOUND, f"The task {ask.target} does not exist or has been stopped.")
    return None if ask.style.not_found is NotFoundForm.NULL_RESULT else _task_result(ALL_ZERO, ask.style)


def start_task(fleet: Fleet, ask: Ask) -> object:
    """StartWebcast: a new life, unless the last one goes on; it runs on the real clock whatever the fleet's speed."""
    try:
        settings = read_settings(ask.fields)
    except ValueError as error:
        raise Refusal(INVALID_PARAMETER, f"{error} is missing or out of range.") from None
    return "ok" if fleet.start(ask.target, begin(Plan(settings, starts=START_DELAY), ask.at)) else STARTED_ALREADY


def stop_task(fleet: Fleet, ask: Ask) -> object:
    """StopWebcast: the end of a task that has not ended."""
    if not fleet.stop(ask.target):
        raise Refusal(TASK_NOT_FOUND, f"The task {ask.target} does not exist or has been stopped.")
    return "ok"


def _task_result(task: dict[str, Any], style: Style) -> dict[str, Any]:
    return {style.task_key: without_zeros(task) if style.omit_zero else task}


def _in_query(params: Mapping[str, str], _body: bytes) -> Mapping[str, Any]:
    return params


def _in_body(_params: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    if not body:
        raise Refusal(EMPTY_BODY, "The body is empty.")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Refusal(BAD_BODY, "The body is no JSON object.")
    return fields


GET_TASK = "GetWebCastTask"
OPERATIONS = {
    GET_TASK: Operation("GET", _in_query, 60, get_task),
    "StartWebcast": Operation("POST", _in_body, 150, start_task),
    "StopWebcast": Operation("POST", _in_body, 150, stop_task),
}
VERSIONS = frozenset({"2020-12-01", "2023-11-01"})
