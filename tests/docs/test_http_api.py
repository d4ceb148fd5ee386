"""docs/http-api.md tells every path that is served, and no other; its JSON has the keys of the real answers."""

import json
import re
from typing import cast

from starlette.routing import Route

from exporter.enums import ReadFailure, Source, Status
from exporter.model.target import Target, TargetId
from exporter.model.task_state import TaskState
from exporter.web import api
from exporter.web.api import failure
from exporter.web.app import create_app
from exporter.web.interfaces import ExporterApi
from exporter.web.serializers import target_json
from exporter.web.task_query import Sort
from tests.docs.reading import ROOT, blocks_of

DOCUMENT = ROOT / "docs" / "http-api.md"
NOT_TOLD = {"/favicon.ico", "/static"}
PLACES = {"{name:path}": "NAME", "{name}": "NAME", "{app_id}/{room_id}/{task_id}": "APP/ROOM/TASK"}


def told() -> set[tuple[str, str]]:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    return {(method, path) for row in rows for method, path in re.findall(r"`([A-Z]+) (/[^`?]*)`", row.split("|")[1])}


def served() -> set[tuple[str, str]]:
    """Method and path of each route; HEAD goes with GET, and a GET that only says 405 is none."""
    found = set()
    for route in create_app(cast("ExporterApi", None), lambda _what, _error: None).routes:
        path = getattr(route, "path", "")
        for place, name in PLACES.items():
            path = path.replace(place, name)
        if path not in NOT_TOLD and isinstance(route, Route):
            found |= {(method, path) for method in route.methods or () if method != "HEAD"}
    return found - {("GET", "/-/reload")}


def test_every_path_is_told_and_no_other() -> None:
    """The table has each route of the application."""
    assert told() == served()


def test_the_json_is_that_of_the_answers() -> None:
    """A target's keys, and an error's."""
    success, error = (json.loads(block.text) for block in blocks_of(DOCUMENT) if block.kind == "json")
    (target,) = success["data"]["targets"]
    known = TaskState(Target(TargetId("a", "b", "c"), account="default"))
    assert list(target) == list(target_json(known))
    assert list(error) == list(json.loads(bytes(failure(400, "sentence", problems=[]).body)))


def test_the_words_are_those_of_the_tables() -> None:
    """Sources, states and failures."""
    text = DOCUMENT.read_text()
    for words in (Source, Status, ReadFailure):
        assert ", ".join(f"`{word}`" for word in words) in text


def test_the_parameters_are_those_that_are_read() -> None:
    """Sizes of a page and orders."""
    text = DOCUMENT.read_text()
    for part, sizes in (("tasks on each", api.TASK_SIZES), ("runs on each", api.RUN_SIZES)):
        assert f"{part}: {sizes[0]:,}, at most {sizes[1]:,}" in text
    orders = next(line for line in text.splitlines() if line.startswith("| `sort` |"))
    assert set(re.findall(r"`(\w+)`", orders)) == {"sort", *Sort}
