import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from click.testing import Result
from prometheus_client.parser import text_string_to_metric_families

from exporter.cli import get
from exporter.config.schema import Account
from exporter.errors import TimedOut
from exporter.model.target import TargetId
from exporter.model.task import ReadResult

if TYPE_CHECKING:
    from tests.cli.conftest import Api

Run = Callable[..., Result]


def ask(run: Run, api: "Api", task: TargetId, *more: str) -> Result:
    return run("get", *task, "--config.file", api.config(), *more)


def test_table(run: Run, api: "Api") -> None:
    """For a person: one line each of what is known, nothing of what is not."""
    result = ask(run, api, api.task())
    assert result.exit_code == 0
    rows = {line[:14].strip(): line[14:] for line in result.stdout.splitlines()}
    assert rows["status"] == "running"
    assert rows["page on"] == "classroom.example.com"
    assert rows["monitors"] == "freeze every 5 s, blank off, crash off"
    assert rows["video"] == "1280x720 at 15/s"
    assert rows["started"].endswith(" UTC")
    assert {"ended", "stop reason"} & rows.keys() == set()


def test_table_of_an_ended_task(run: Run, api: "Api") -> None:
    """An ended one says when and why."""
    rows = ask(run, api, api.task(ended=True)).stdout
    assert "stop reason   StopByAPI\n" in rows
    assert "\nended         " in rows


def test_json(run: Run, api: "Api") -> None:
    """For a program: one JSON object in seconds and the exporter's words."""
    document = json.loads(ask(run, api, api.task(ended=True), "--output", "json").stdout)
    assert (document["status"], document["stop_reason"]) == ("ended", "StopByAPI")
    assert document["end"] - document["start"] == pytest.approx(30)
    assert document["monitor"] == {"freeze": 5, "blank": 0, "crash": 0}


def test_metrics(run: Run, api: "Api") -> None:
    """For a text file collector: a parser takes it, and the series are those of the exporter."""
    result = ask(run, api, api.task(), "--output", "metrics")
    families = {family.name: family.samples for family in text_string_to_metric_families(result.stdout)}
    ids = {"app_id": "app", "room_id": "Room", "task_id": "Task"}
    statuses = [sample.labels for sample in families["webcast_task_status"] if sample.value]
    assert [{**ids, "status": "running"}] == statuses
    assert [(ids, 3600)] == [(x.labels, x.value) for x in families["webcast_task_max_running_time_seconds"]]
    assert [(ids, 1)] == [(x.labels, x.value) for x in families["webcast_task_read_success"]]
    assert [name for name in families if not name.startswith("webcast_task_")] == []


@pytest.mark.parametrize("output", ["table", "json", "metrics"])
def test_no_output_tells_the_page(run: Run, api: "Api", output: str) -> None:
    """The query of SourceURL may carry authentication: only its host is ever told."""
    assert "canary" not in ask(run, api, api.task(), "--output", output).output


@pytest.mark.parametrize("output", ["table", "json"])
def test_not_found(run: Run, api: "Api", output: str) -> None:
    """Exit 1, a sentence on standard error, nothing on standard output."""
    result = ask(run, api, TargetId("app", "Room", "Nothing"), "--output", output)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("app/Room/Nothing: not_found: the API knows no such task (code=")


def test_not_found_as_metrics(run: Run, api: "Api") -> None:
    """A collector still gets to know that and why the read failed; the exit code says it too."""
    result = ask(run, api, TargetId("app", "Room", "Nothing"), "--output", "metrics")
    assert result.exit_code == 1
    (family,) = [x for x in text_string_to_metric_families(result.stdout) if x.name == "webcast_task_read_error"]
    assert [(sample.labels["reason"], sample.value) for sample in family.samples] == [("not_found", 1)]
    assert "webcast_task_status" not in result.stdout


def test_a_wrong_secret(run: Run, api: "Api") -> None:
    config = api.config(api.account(secret_access_key="canary"))
    result = run("get", *api.task(), "--config.file", config)
    assert result.exit_code == 1
    assert "auth: the API does not accept the signature; is it the secret of this access key?" in result.stderr
    assert "canary" not in result.output


@pytest.mark.parametrize(
    "ids",
    [("app", "Room", ""), ("app", "Ro om", "Task"), ("app", "Room", "会"), ("a" * 129, "b", "c")],
)
def test_bad_ids(run: Run, ids: tuple[str, str, str]) -> None:
    """An id that the vendor would refuse is bad usage, and is not sent."""
    result = run("get", *ids)
    assert result.exit_code == 2
    assert "must be 1 to 128 of the characters" in result.stderr


@pytest.mark.parametrize(
    "words", [("app/Room/Task",), ("app", "Room", "Task"), ("app/Room", "Task"), (" app/Room/Task ",)]
)
@pytest.mark.parametrize("before", [("get",), ("check", "--probe")])
def test_a_task_is_named_as_people_paste_it(
    run: Run, api: "Api", before: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """One word with slashes, or its ids apart."""
    api.task()
    result = run(*before, *words, "--config.file", api.config())
    assert (result.exit_code, result.stderr) == (0, "")
    assert "running" in result.stdout


@pytest.mark.parametrize("words", [("a/b",), ("a", "b"), ("a/b/c/d",), ("a", "b/c", "d")])
def test_what_names_no_task(run: Run, words: tuple[str, ...]) -> None:
    """Both forms are told."""
    for name in ("get", "explain"):
        result = run(name, *words)
        assert result.exit_code == 2
        assert "write APP_ID ROOM_ID TASK_ID or APP_ID/ROOM_ID/TASK_ID" in result.stderr


def test_an_id_that_looks_like_an_option(run: Run, api: "Api") -> None:
    """Ids may begin with a dash: `--` ends the options as everywhere."""
    result = run("get", "--config.file", api.config(), "--", "app", "-Room", "--Task")
    assert (result.exit_code, "app/-Room/--Task: not_found" in result.stderr) == (1, True)


def test_an_app_of_no_account(run: Run, api: "Api") -> None:
    """Several accounts, and none has the app: the configuration lacks it."""
    accounts = (api.account(name="a", app_ids=["a"]), api.account(name="b", app_ids=["b"]))
    result = run("get", "app", "Room", "Task", "--config.file", api.config(*accounts))
    assert result.exit_code == 2
    assert result.stderr == "webcast-exporter: accounts: none has the app app in its app_ids\n"


def test_the_account_of_the_app_is_asked(run: Run, api: "Api") -> None:
    """With several accounts the call is made by the one that has the app."""
    task = api.task()
    accounts = (api.account(name="a", app_ids=["a"], secret_access_key="wrong"), api.account(name="b", app_ids=["app"]))
    assert run("get", *task, "--config.file", api.config(*accounts)).exit_code == 0


def test_environment_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file the credentials are the environment's, and the endpoint is the vendor's."""
    asked: list[tuple[str, str, dict[str, str]]] = []

    def read(account: Account, target: TargetId, environ: dict[str, str], _place: str) -> ReadResult:
        keys = {name: environ[name] for name in ("VOLC_ACCESSKEY", "VOLC_SECRETKEY")}
        asked.append((account.endpoint, str(target), keys))
        return ReadResult(target, at=1.0, server_time=1.0, elapsed=0.1, outcome=TimedOut("no whole answer in time"))

    monkeypatch.setattr(get, "read_once", read)
    keys = {"VOLC_ACCESSKEY": "AKLTexample", "VOLC_SECRETKEY": "canary"}
    result = run("get", "app", "Room", "Task", env=keys)
    assert asked == [("https://rtc.volcengineapi.com", "app/Room/Task", keys)]
    assert result.exit_code == 1
    assert result.output.startswith("app/Room/Task: timeout: no whole answer in time\n")
