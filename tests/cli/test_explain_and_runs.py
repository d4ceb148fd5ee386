"""`explain` and `runs`: a running exporter is asked over HTTP, a state file is only read."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exporter.enums import Status, StopReason
from exporter.model.run import Run as TaskRun
from exporter.model.run import StateChange
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.web.server import Listener, bind
from tests.support.state import open_store

Run = Callable[..., Result]

TRIPLE = ("661e", "Room1", "Task1")
TARGET = {
    "is_target": True,
    "target": "661e/Room1/Task1",
    "account": "default",
    "sources": ["static", "push"],
    "status": "not_found",
    "last_read": "2026-01-15T08:30:00.000Z",
    "read_error": "not_found",
    "next_read": "2026-01-15T08:30:05.000Z",
    "next_read_because": "in 5s, at the fast interval: news is likely",
    "series_because": "It has no state series: the API knows no such task.",
}
NO_TARGET = {"is_target": False, "account": None, "series_because": "It is not read: no account has the app."}


def unforeseen(_what: str, error: Exception) -> None:
    """The stand-in does not fail."""
    raise AssertionError(error)


@contextmanager
def exporter(answer: Callable[[Request], Response]) -> Iterator[str]:
    listener = Listener(Starlette(routes=[Route("/{path:path}", answer)]), bind("127.0.0.1:0"), unforeseen)
    listener.start()
    yield listener.url
    listener.stop()


def data(said: object) -> Callable[[Request], Response]:
    return lambda _: JSONResponse({"status": "success", "data": said})


def test_explain_tells_why_there_are_no_series(run: Run) -> None:
    """From where it is listed, who reads it when, what its reads say."""
    with exporter(data(TARGET)) as url:
        result = run("explain", *TRIPLE, "--url", url)
        as_json = run("explain", *TRIPLE, "--url", url, "--output", "json")
    assert result.exit_code == 0
    for line in (
        "target          yes",
        "listed by       static, push",
        "account         default",
        "status          not found",
        "last read       2026-01-15T08:30:00.000Z",
        "next read       2026-01-15T08:30:05.000Z (in 5s, at the fast interval: news is likely)",
        "series          It has no state series: the API knows no such task.",
    ):
        assert line in result.stdout.splitlines()
    assert json.loads(as_json.stdout) == TARGET


def test_explain_of_what_is_no_target(run: Run) -> None:
    """Exit 1, with what is missing."""
    with exporter(data(NO_TARGET)) as url:
        result = run("explain", *TRIPLE, "--url", url)
    assert result.exit_code == 1
    assert "target          no" in result.stdout
    assert "account         none has its app" in result.stdout


def test_no_proxy_of_the_environment_is_asked(run: Run) -> None:
    """It knows nothing of this machine's own ports."""
    with exporter(data(TARGET)) as url:
        assert run("explain", *TRIPLE, "--url", url, env={"HTTP_PROXY": "http://127.0.0.1:1"}).exit_code == 0


def test_the_exporter_s_password(run: Run) -> None:
    """It comes from the environment; without it the sentence says so."""

    def guarded(request: Request) -> Response:
        known = request.headers.get("authorization") == "Basic bWU6c2VjcmV0"
        return JSONResponse({"data": TARGET}, 200 if known else 401)

    with exporter(guarded) as url:
        refused = run("explain", *TRIPLE, "--url", url)
        let_in = {"WEBCAST_EXPORTER_USER": "me", "WEBCAST_EXPORTER_PASSWORD": "secret"}
        assert run("explain", *TRIPLE, "--url", url, env=let_in).exit_code == 0
    assert refused.exit_code == 1
    assert "set $WEBCAST_EXPORTER_USER" in refused.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: JSONResponse({"error": "since must be a time"}, 400), "400: since must be a time"),
        (lambda _: Response("nothing", 404), "is a webcast-exporter of this version there?"),
        (lambda _: Response("hello"), "is no webcast-exporter"),
    ],
)
def test_another_answer(run: Run, answer: Callable[[Request], Response], words: str) -> None:
    """A sentence that says who answered, and exit 1."""
    with exporter(answer) as url:
        result = run("runs", "--url", url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://a..b", f"http://{'a' * 70}.example"])
def test_no_exporter_answers(run: Run, url: str) -> None:
    result = run("explain", *TRIPLE, "--url", url)
    assert result.exit_code == 1
    assert f"no exporter answers at {url} (" in result.stderr
    assert "--url" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("explain", "a b", "c", "d"), "app id 'a b'"),
        (("explain", *TRIPLE, "--url", "localhost"), "must be like http://127.0.0.1:10960"),
        (("runs", "--url", "http://me:canary@host"), "must hold no password"),
        (("runs", "--since", "yesterday"), "or a duration such as 24h"),
        (("runs", "--status", "running"), "'ended', 'failed'"),
    ],
)
def test_bad_usage(run: Run, arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "canary" not in result.stderr


def unwritten(error: Exception, *, first: bool) -> None:
    raise AssertionError(error, first)


def task_run(number: int) -> TaskRun:
    """A run that failed so many seconds after another."""
    target, at = TargetId("661e", "Room", f"Task{number}"), 1_768_465_805.0 + number
    last = Task(Status.FAILED, start=at - 600, end=at, stop_reason=StopReason.UNKNOWN)
    return TaskRun(target, at - 600, at - 600, frozenset({Status.FAILED}), StopReason.UNKNOWN, at, last)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A configuration whose state holds 1,002 runs that stopped."""
    file = tmp_path / "webcast-exporter.yml"
    file.write_text(f"accounts: [{{name: default}}]\nstate: {{url: 'sqlite:///{tmp_path}/state.db'}}\n")
    store = open_store(tmp_path / "state.db")
    store.record(StateChange(tuple(task_run(number) for number in range(1_002))))
    assert store.flush(60)
    store.close()
    return str(file)


def test_runs_from_a_state_without_a_process(run: Run, file: str, tmp_path: Path) -> None:
    """Every page of it, as table, CSV and JSON; the file is as it was."""
    before = (tmp_path / "state.db").read_bytes()
    arguments = ("runs", "--config.file", file, "--since", "2026-01-15T00:00:00Z", "--status", "failed")
    table = run(*arguments).stdout.splitlines()
    assert table[0].split() == ["END", "SEEN", "STATUS", "REASON", "START", "RAN", "TASK"]
    assert table[1].split()[2:] == [
        "failed", "UnknownStopReason", "2026-01-15", "08:36:46Z", "10m", "661e/Room/Task1001",
    ]  # fmt: skip
    assert len(table) == 1_003
    rows = list(csv.DictReader(run(*arguments, "--output", "csv").stdout.splitlines()))
    assert (len(rows), rows[-1]["task_id"], rows[0]["account"]) == (1_002, "Task0", "default")
    assert len(json.loads(run(*arguments, "--output", "json").stdout)) == 1_002
    assert run(*arguments, "--reason", "Lost").stdout == "No matching runs.\n"
    assert (tmp_path / "state.db").read_bytes() == before


@pytest.mark.parametrize(
    ("url", "words"),
    [("sqlite://", "is no file: ask the running exporter"), ("sqlite:////nowhere/state.db", "no such file")],
)
def test_a_state_that_cannot_be_read(run: Run, tmp_path: Path, url: str, words: str) -> None:
    file = tmp_path / "webcast-exporter.yml"
    file.write_text(f"accounts: [{{name: default}}]\nstate: {{url: '{url}'}}\n")
    result = run("runs", "--config.file", str(file))
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_state_of_another_program(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("no database, but long enough to look into " * 10)
    file = tmp_path / "webcast-exporter.yml"
    file.write_text(f"accounts: [{{name: default}}]\nstate: {{url: 'sqlite:///{tmp_path}/state.db'}}\n")
    result = run("runs", "--config.file", str(file))
    assert result.exit_code == 1
    assert "not a database" in result.stderr


def test_runs_of_a_running_exporter(run: Run) -> None:
    """The query says which, page after page; a row that moved on to the next page is told once."""
    asked: list[dict[str, str]] = []
    row = {"app_id": "661e", "room_id": "Room", "status": None, "reason": "Lost", "start": None, "first_seen": None}
    row |= {"end_seen": "2026-01-15T08:30:00.000Z", "duration_seconds": None}

    def answer(request: Request) -> Response:
        asked.append(dict(request.query_params))
        tasks = {"1": ("a", "b"), "2": ("b", "c")}[request.query_params["page"]]
        rows = [{**row, "task_id": name} for name in tasks]
        return JSONResponse({"status": "success", "data": {"runs": rows, "pages": 2}})

    with exporter(answer) as url:
        result = run("runs", "--url", url, "--since", "2026-01-15T00:00:00Z", "--app-id", "661e")
    assert [line.split()[-1] for line in result.stdout.splitlines()[1:]] == [f"661e/Room/{name}" for name in "abc"]
    assert [each["page"] for each in asked] == ["1", "2"]
    assert (asked[0]["since"], asked[0]["app_id"], asked[0]["size"]) == ("2026-01-15T00:00:00.000Z", "661e", "1000")


def test_runs_goes_on_until_everything_is_searched(run: Run) -> None:
    """An answer may hold nothing yet: the exporter answers when its time is up."""
    asked: list[str] = []
    following = {"": "2.5", "2.5": "1.5", "1.5": None}
    row = {"app_id": "661e", "room_id": "Room", "status": None, "reason": "Lost", "start": None, "first_seen": None}
    row |= {"task_id": "a", "end_seen": "2026-01-15T08:30:00.000Z", "duration_seconds": None}

    def answer(request: Request) -> Response:
        after = request.query_params.get("after", "")
        asked.append(request.query_params["q"])
        data = {"runs": [] if after == "2.5" else [{**row, "first_seen": after}], "pages": 1, "next": following[after]}
        return JSONResponse({"status": "success", "data": data})

    with exporter(answer) as url:
        result = run("runs", "--url", url, "--text", "ROOM")
    assert len(result.stdout.splitlines()) == 3
    assert asked == ["ROOM"] * 3
