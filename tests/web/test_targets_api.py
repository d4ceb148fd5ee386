import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.discovery.sd_format import TargetGroup
from exporter.enums import ReadFailure, Source, Status
from exporter.errors import BadTargets, Problem, StartError, StateError
from exporter.model.target import Target, TargetId
from exporter.model.task import Task
from exporter.model.task_state import TaskState
from exporter.web.api import MAX_BODY_BYTES
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Site

ID = TargetId("app", "room@a.b-c_1", "task")
ONE = '[{"targets": ["app/room/one"], "labels": {"team": "edu"}}]'
PATH = f"/api/v1/targets/{ID}"


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, type and sentence of a refusal."""
    document = answer.json()
    assert document["status"] == "error"
    return answer.status_code, document["errorType"], document["error"]


BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_the_list_of_targets(site: "Site") -> None:
    """In Prometheus's envelope: what it is, from where, and what the latest read said; times are RFC 3339."""
    site.exporter.states = [
        TaskState(
            Target(
                ID, "default", frozenset({Source.PUSH, Source.FILE}), {"team": "\u8bfe"}, expected_end=1_768_469_405.5
            ),
            task=Task(Status.RUNNING),
            last_read=1_768_465_805.25,
            last_success=1_768_465_700.0,
            failure=ReadFailure.TIMEOUT,
        ),
        TaskState(
            Target(TargetId("app", "room", "drained"), "default", frozenset({Source.PUSH})), drain_until=1_768_465_900.0
        ),
    ]
    answer = site.get("/api/v1/targets")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["status"] == "success"
    first, drained = answer.json()["data"]["targets"]
    assert first == {
        "target": "app/room@a.b-c_1/task",
        "labels": {"team": "\u8bfe"},
        "sources": ["file", "push"],
        "account": "default",
        "status": "running",
        "last_read": "2026-01-15T08:30:05.250Z",
        "last_successful_read": "2026-01-15T08:28:20.000Z",
        "read_error": "timeout",
        "expected_start": None,
        "expected_end": "2026-01-15T09:30:05.500Z",
        "drained_until": None,
    }
    assert (drained["sources"], drained["status"]) == ([], "unread")
    assert drained["drained_until"] == "2026-01-15T08:31:40.000Z"


@pytest.mark.parametrize(("method", "replace"), [("POST", False), ("PUT", True)])
def test_post_adds_and_put_replaces(site: "Site", method: str, replace: bool) -> None:
    """The body's groups are handed in; the answer tells how many targets were taken."""
    answer = site.send(method, ONE)
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "data": {"accepted": 1}})
    assert site.exporter.push.updated == [([TargetGroup(["app/room/one"], {"team": "edu"})], replace)]


@pytest.mark.parametrize(("query", "now"), [("", False), ("?now=true", True), ("?now=false", False)])
def test_delete(site: "Site", query: str, now: bool) -> None:
    """The triple is in the path, and `now` skips the drain."""
    answer = site.ask("DELETE", PATH + query, **BEARER)
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "data": {"released": str(ID)}})
    assert site.exporter.push.released == [(ID, now)]


def test_delete_of_a_target_that_was_not_pushed(site: "Site") -> None:
    """404, with a sentence."""
    site.exporter.push.listed = False
    expected = (404, "not_found", f"{ID} is no target by push or callback")
    assert error_of(site.ask("DELETE", PATH, **BEARER)) == expected


@pytest.mark.parametrize("path", [f"{PATH}?now=perhaps", "/api/v1/targets/app/ro%20om/task"])
def test_a_delete_that_makes_no_sense(site: "Site", path: str) -> None:
    """400, and nothing is released."""
    status, kind, _ = error_of(site.ask("DELETE", path, **BEARER))
    assert (status, kind, site.exporter.push.released) == (400, "bad_data", [])


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic YTpi", "a-token-of-the-tests", b"Bearer t\xf6ken"]
)
def test_without_a_good_token_nothing_is_taken(site: "Site", header: str | bytes | None) -> None:
    """401 that says how to ask, for every write; the body is not looked at."""
    headers = {} if header is None else {"Authorization": header}
    for method, path in (("POST", "/api/v1/targets"), ("PUT", "/api/v1/targets"), ("DELETE", PATH)):
        answer = site.client.request(method, path, content=b"nonsense", headers=headers)  # type: ignore[arg-type]  # bytes are good
        assert (answer.status_code, answer.json()["errorType"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith('Bearer realm="webcast-exporter"')
    assert (site.exporter.push.updated, site.exporter.push.released) == ([], [])


def test_the_scheme_s_case_does_not_matter(site: "Site") -> None:
    """As for every HTTP authentication scheme."""
    headers = {"Authorization": f"bearer  {TOKEN}", "Content-Type": "application/json"}
    assert site.client.post("/api/v1/targets", content=ONE, headers=headers).status_code == 200


def test_push_that_is_off(site: "Site") -> None:
    """404 with a sentence for every write, token or not; looking stays open."""
    del site.exporter.secrets[Source.PUSH]
    for answer in (site.send("POST", ONE), site.send("PUT", ONE, token=""), site.ask("DELETE", PATH)):
        assert error_of(answer) == (404, "not_found", "pushing is off: the configuration has no push.token_file")
    assert site.get("/api/v1/targets").status_code == 200


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is not JSON at line 1, column 1: Expecting value"),
        (b'{"targets": []}', "the body must be a list of groups, each with targets and labels"),
        (b'[{"targets": "app/room/one"}]', "[0].targets must be a list"),
        (b'[{"target": []}]', "[0].target is not a known key: a group has targets and labels"),
        (b"\xff", "the body is not UTF-8 text (at byte 0)"),
        (b"[" * 100_000, "the body is not JSON that can be read: it is nested too deep"),
    ],
)
def test_a_body_of_another_shape(site: "Site", body: bytes, problem: str) -> None:
    """400 that says what is wrong and where."""
    answer = site.send("POST", body)
    assert error_of(answer) == (400, "bad_data", f"nothing was changed: {problem}")
    assert answer.json()["problems"] == [problem]
    assert site.exporter.push.updated == []


def test_problems_are_listed_with_their_places(site: "Site") -> None:
    """At most a hundred of them, and how many there are."""
    site.exporter.push.breaks = BadTargets([Problem(f"[0].targets[{number}]", "is bad") for number in range(250)])
    answer = site.send("PUT", ONE)
    assert error_of(answer) == (400, "bad_data", "nothing was changed: [0].targets[0]: is bad; and 249 more")
    assert answer.json()["problems"] == [f"[0].targets[{number}]: is bad" for number in range(100)]


@pytest.mark.parametrize("fault", [StateError("the state is locked"), StartError("it cannot be read")])
def test_a_state_that_cannot_be_written(site: "Site", fault: Exception) -> None:
    """503: nothing was changed, and it may be tried again."""
    site.exporter.push.breaks = fault
    expected = (503, "unavailable", "the state cannot be written now; nothing was changed, try again")
    assert error_of(site.send("POST", ONE)) == expected
    assert error_of(site.ask("DELETE", PATH, **BEARER)) == expected
    assert site.exporter.failures == []


def test_a_body_has_an_end(site: "Site") -> None:
    """8 MiB are taken; a byte more is 413, whether its length is told before or not."""
    whole = b"[" + b" " * (MAX_BODY_BYTES - 2) + b"]"
    assert site.send("POST", whole).status_code == 200
    assert error_of(site.send("POST", whole + b" "))[:2] == (413, "bad_data")
    headers = {**BEARER, "Content-Type": "application/json"}

    def chunks() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65_536 + 1):
            yield b" " * 65_536

    answer = site.client.post("/api/v1/targets", content=chunks(), headers=headers)
    assert error_of(answer)[:2] == (413, "bad_data")


def test_only_json_is_taken(site: "Site") -> None:
    """Another Content-Type is 415; none at all is taken for JSON, and a charset may be named."""
    assert error_of(site.send("POST", ONE, Content_Type="application/x-www-form-urlencoded"))[0] == 415
    assert site.send("POST", ONE, Content_Type="application/json; charset=utf-8").status_code == 200
    assert site.client.post("/api/v1/targets", content=ONE, headers=BEARER).status_code == 200


def test_other_methods(site: "Site") -> None:
    """405 for what no target has."""
    assert site.ask("PATCH", "/api/v1/targets", **BEARER).status_code == 405
    assert site.get(PATH).status_code == 405


def test_a_list_of_20_000_is_shown(site: "Site") -> None:
    """All targets are in one answer."""
    site.exporter.states = [
        TaskState(Target(TargetId("app", "room", str(number)), "default")) for number in range(20_000)
    ]
    document = json.loads(site.get("/api/v1/targets").content)
    assert len(document["data"]["targets"]) == 20_000
