import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from exporter.errors import ConfigError
from exporter.metrics.exposition import Format
from exporter.model.target import TargetId
from exporter.service.target_manager import OVER_LIMIT
from exporter.simulator.lifecycle import RunPlan, TaskSettings
from exporter.store.database import upsert
from exporter.store.schema import STORED_TARGETS
from tests.support.small_world import APP, Served, World, samples, text
from tests.support.waiting import wait_until

TOKEN = "canary-in-the-push-token"
TARGETS = "/api/v1/targets"
INFO = "webcast_task_info"
UNSEEN = "webcast_run_ends_unseen_total"


class Api(Served):
    """An exporter that takes pushes, and a backend that pushes to it."""

    def __init__(self, world: World) -> None:
        self._version = 0
        self.world = world
        self.tokens(TOKEN)
        world.write(push={"token_file": "tokens"})
        super().__init__(world)

    def tokens(self, *lines: str) -> None:
        """Another version of the file of tokens."""
        self._version += 1
        file = self.world.folder / "tokens"
        file.write_text("\n".join(lines))
        os.utime(file, ns=(self._version, self._version))

    def ask(self, method: str, path: str = TARGETS, body: Any = None, token: str = TOKEN) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self.client.request(method, path, content=json.dumps(body), headers=headers)

    def push(self, *targets: TargetId, method: str = "POST", **labels: Any) -> None:
        """Push these, with good success."""
        answer = self.ask(method, body=[{"targets": [str(target) for target in targets], "labels": labels}])
        assert (answer.status_code, answer.json()["data"]) == (200, {"accepted": len(targets)})

    def delete(self, target: TargetId, query: str = "") -> None:
        """End a listing, with good success."""
        assert self.ask("DELETE", f"{TARGETS}/{target}{query}").status_code == 200

    def listed(self) -> dict[str, list[str]]:
        """Every target there is, with its sources."""
        shown = self.ask("GET").json()["data"]["targets"]
        return {each["target"].rpartition("/")[2]: each["sources"] for each in shown}

    def status(self, name: str) -> str | None:
        """A task's state as the API of targets tells it."""
        shown = self.ask("GET").json()["data"]["targets"]
        return next((each["status"] for each in shown if each["target"].endswith(f"/{name}")), None)

    def until(self, name: str, status: str | None) -> None:
        """Wait until a task is known to be in a state."""
        wait_until(lambda: self.status(name) == status, f"{name} is {status}")

    def counted(self) -> float:
        """`webcast_targets` of this source."""
        text = self.client.get("/metrics").text
        return float(text.partition('webcast_targets{source="push"} ')[2].partition("\n")[0])


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    made = Api(world)
    yield made
    made.stop()


def test_delete_removes_a_stopped_task_that_a_file_lists(api: Api) -> None:
    """As the button on its page does, also over a restart; one that runs stays, and the answer says what to do."""
    ended, running = api.world.task("ended", ended=True), api.world.task("running")
    api.world.write(static_configs=api.world.lists(ended, running), push={"token_file": "tokens"})
    api.exporter.reload()
    api.until("ended", "ended")
    api.until("running", "running")
    refused = api.ask("DELETE", f"{TARGETS}/{running}")
    assert (refused.status_code, refused.json()["error"]) == (
        404,
        f"{running}: is listed by static: take it from that list, or remove it here once it has stopped",
    )
    api.delete(ended)
    for _ in range(2):
        assert (api.exporter.queries.has_series(ended), api.exporter.queries.has_series(running)) == (False, True)
        assert api.ask("DELETE", f"{TARGETS}/{ended}").status_code == 404
        api.restart()
        api.until("running", "running")


def test_a_push_that_took_too_long_may_be_in_force_later(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and the same push again is no other; memory and state say the same in the end."""
    thaw, task = threading.Event(), api.world.task("task")

    def hang(connection: Any, table: Any, rows: Any) -> None:
        assert table is not STORED_TARGETS or thaw.wait(60)
        upsert(connection, table, rows)

    with monkeypatch.context() as patch:
        patch.setattr("exporter.store.store.WAIT", 0.3)
        patch.setattr("exporter.store.store.upsert", hang)
        assert api.ask("POST", body=[{"targets": [str(task)]}]).status_code == 503
        assert api.listed() == {}
        thaw.set()
        api.until("task", "running")
    assert api.listed() == {"task": ["push"]}
    api.push(task)
    assert api.listed() == {"task": ["push"]}


def test_a_pushed_target_is_there_at_once_and_read_at_once(api: Api) -> None:
    """A look right after the push shows it, counted under its source; its first read does not wait for a round."""
    api.world.write(polling={"interval": "1h", "fast_interval": "1h"})
    api.exporter.reload()
    api.push(api.world.task("task"), team="edu")
    assert api.listed() == {"task": ["push"]}
    assert api.counted() == 1
    api.until("task", "running")


def test_post_adds_and_renews_and_removes_nothing(api: Api) -> None:
    """What was said of a target before gives way to what is said now; the others stay."""
    one, two = api.world.task("one"), api.world.task("two")
    api.world.write(metrics={"info_labels": ["team", "page"]})
    api.exporter.reload()
    api.push(one, team="edu", page="quiz", __expected_end__=2_000_000_000)
    api.push(two)
    api.push(one, team="live")
    assert api.listed() == {"one": ["push"], "two": ["push"]}
    shown = {task: (page, team) for *_, page, _, _, task, team, _ in samples(api.exporter, INFO)}
    assert shown == {"one": ("", "live"), "two": ("", "")}
    assert samples(api.exporter, "webcast_task_expected_end_timestamp_seconds") == {}


def test_pushed_labels_are_the_strongest(api: Api) -> None:
    """A target of several sources is one target, and counts under each."""
    task = api.world.task("task")
    api.world.write(static_configs=api.world.lists(task, team="edu", page="quiz"))
    api.exporter.reload()
    api.push(task, team="live")
    [shown] = api.ask("GET").json()["data"]["targets"]
    assert (shown["labels"], shown["sources"]) == ({"team": "live", "page": "quiz"}, ["static", "push"])
    api.delete(task, "?now=true")
    assert api.listed() == {"task": ["static"]}


def test_put_replaces_the_list_and_drains_what_is_live(api: Api) -> None:
    """A live run that the new list is without is read on until its end is counted; what never ran goes at once."""
    live, nothing, stays = api.world.task("live"), TargetId(APP, "Room", "nothing"), api.world.task("stays")
    api.push(live, nothing, stays)
    api.until("live", "running")
    api.push(stays, method="PUT")
    assert api.listed() == {"live": [], "stays": ["push"]}
    api.world.simulation.fleet.stop(live)
    wait_until(lambda: samples(api.exporter, "webcast_run_stops_total")[APP, "StopByAPI"] == 1, "its end")
    assert samples(api.exporter, UNSEEN) == {(APP,): 0}
    api.push(method="PUT")
    assert api.counted() == 0


def test_delete_drains_and_delete_now_does_not(api: Api) -> None:
    """`now` takes all series from the next scrape on, and the live run's end is unseen, counted once."""
    drained, gone = api.world.task("drained"), api.world.task("gone")
    api.push(drained, gone)
    for name in ("drained", "gone"):
        api.until(name, "running")
    api.delete(drained)
    api.delete(gone, "?now=true")
    assert {task for *_, task, _ in samples(api.exporter, INFO)} == {"drained"}
    assert samples(api.exporter, UNSEEN) == {(APP,): 1}
    assert api.listed() == {"drained": []}
    assert api.ask("DELETE", f"{TARGETS}/{gone}").status_code == 404
    again = api.restart()
    assert (api.listed(), samples(again, UNSEEN)) == ({"drained": []}, {(APP,): 1})
    api.delete(drained, "?now=true")
    assert (api.listed(), samples(again, UNSEEN)) == ({}, {(APP,): 2})


def test_a_restart_knows_the_pushed_targets(api: Api) -> None:
    """With their labels and expected times, before anything is asked for; what was let go stays away."""
    api.world.write(metrics={"info_labels": ["team"]})
    api.push(api.world.task("task"), TargetId(APP, "Room", "gone"), team="edu", __expected_end__="2033-05-18T03:33:20Z")
    api.delete(TargetId(APP, "Room", "gone"))
    again = api.restart()
    assert api.listed() == {"task": ["push"]}
    [labels] = samples(again, INFO)
    assert "edu" in labels
    assert list(samples(again, "webcast_task_expected_end_timestamp_seconds").values()) == [2e9]


def test_a_stopped_task_goes_when_its_linger_is_over(api: Api) -> None:
    """Whatever its ttl, from memory and from the state."""
    api.push(api.world.task("task", ended=True))
    api.until("task", "ended")
    api.world.shift.seconds += 14 * 60
    assert api.listed() == {"task": ["push"]}
    api.world.shift.seconds += 61
    wait_until(lambda: api.listed() == {}, "it is gone")
    api.restart()
    assert (api.listed(), api.counted()) == ({}, 0)


def test_a_live_run_outlives_the_ttl_and_others_do_not(api: Api) -> None:
    """A target that is not live goes `ttl` after the last push that named it."""
    api.world.write(push={"token_file": "tokens", "ttl": "1h"}, polling={"interval": "1s", "max_backoff": "1s"})
    api.exporter.reload()
    live, early = api.world.task("live"), TargetId(APP, "Room", "early")
    api.push(live)
    api.push(early, __expected_start__=2_000_000_000)
    api.until("live", "running")
    api.world.shift.seconds += 50 * 60
    api.push(early, __expected_start__=2_000_000_000)
    api.world.shift.seconds += 50 * 60
    api.exporter.push.sweep()
    assert api.listed() == {"live": ["push"], "early": ["push"]}
    api.world.shift.seconds += 10 * 60 + 1
    wait_until(lambda: api.listed() == {"live": ["push"]}, "the other one is gone")


def test_a_target_the_api_never_knew_goes(api: Api) -> None:
    """After `forget_unknown_after`, counted from its expected start if there is one."""

    def listed_a_second_later() -> dict[str, list[str]]:
        api.world.shift.seconds += 1  # a read that the jump overtook is followed by one after its backoff only
        return api.listed()

    soon = time.time() + 1800
    api.push(TargetId(APP, "Room", "nothing"))
    api.push(TargetId(APP, "Room", "later"), __expected_start__=int(soon))
    wait_until(lambda: "not_found" in api.ask("GET").text, "the answer")
    api.world.shift.seconds += 3601
    wait_until(lambda: listed_a_second_later() == {"later": ["push"]}, "the first one is gone")
    wait_until(lambda: listed_a_second_later() and "not_found" in api.ask("GET").text, "the answer")
    api.world.shift.seconds += 1801
    wait_until(lambda: listed_a_second_later() == {}, "the second one is gone")


def test_a_stopped_target_is_read_again_when_it_is_pushed(api: Api) -> None:
    """So a new run of a TaskId used again is seen at once, and not only when its turn comes."""
    task = api.world.task("task", ended=True)
    api.push(task)
    api.until("task", "ended")
    reads = api.world.reads(task)
    api.world.simulation.fleet.begin(task, RunPlan(TaskSettings(source_url="https://classroom.example.com/")), age=1)
    api.push(task)
    api.until("task", "running")
    assert api.world.reads(task) > reads


def test_a_task_whose_linger_is_over_can_be_pushed_for_its_next_run(api: Api) -> None:
    """It is waited for like any other, and not let go for the run it had."""

    def answered() -> float:
        return sum(samples(api.exporter, "webcast_api_request_duration_seconds_count").values())

    task = api.world.task("task", ended=True)
    api.push(task)
    api.until("task", "ended")
    api.world.shift.seconds += 15 * 60 + 1
    wait_until(lambda: api.listed() == {}, "it is gone")
    before = answered()
    api.push(task)
    wait_until(lambda: answered() > before, "a read")
    api.world.shift.seconds += 30 * 60
    api.exporter.push.sweep()
    assert api.listed() == {"task": ["push"]}
    api.world.simulation.fleet.begin(task, RunPlan(TaskSettings(source_url="https://classroom.example.com/")), age=1)
    api.push(task)
    api.until("task", "running")


def test_a_state_that_cannot_be_written(api: Api) -> None:
    """503, nothing is changed, and the next try works."""
    one, two = TargetId(APP, "Room", "one"), TargetId(APP, "Room", "two")
    api.push(one)
    with closing(sqlite3.connect(api.world.folder / "state.db", isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        answers = [
            api.ask("POST", body=[{"targets": [str(two)]}]),
            api.ask("PUT", body=[]),
            api.ask("DELETE", f"{TARGETS}/{one}?now=true"),
        ]
        blocker.execute("ROLLBACK")
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert (api.listed(), api.counted()) == ({"one": ["push"]}, 1)
    api.push(two, method="PUT")
    assert api.listed() == {"two": ["push"]}


def test_a_push_does_not_queue_behind_a_change_that_waits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another change of the lists may wait for a silent state; this one is refused in time, to be sent again."""
    monkeypatch.setattr("exporter.service.target_manager.CHANGE_TIMEOUT", 0.05)
    body = [{"targets": [f"{APP}/Room/one"]}]
    with api.exporter._targets.changing:
        assert api.ask("POST", body=body).status_code == 503
    assert api.ask("POST", body=body).status_code == 200


def test_all_or_nothing(api: Api) -> None:
    """A body with one bad target changes nothing; one that no account can read is bad."""
    api.world.write(accounts=[api.world.account(app_ids=[APP])])
    api.exporter.reload()
    api.push(TargetId(APP, "Room", "stays"))
    body = [{"targets": [f"{APP}/Room/new", f"{APP}/Room", "another/Room/new", f"{APP}/Room/new"]}]
    for method in ("POST", "PUT"):
        answer = api.ask(method, body=body)
        assert answer.status_code == 400
        places = {problem.partition(":")[0] for problem in answer.json()["problems"]}
        assert places == {"[0].targets[1]", "[0].targets[2]", "[0].targets[3]"}
    assert api.listed() == {"stays": ["push"]}


def test_tokens_rotate(api: Api) -> None:
    """Both the old and the new one are accepted until the file is without the old one; no reload is needed."""
    for tokens, answers in (
        ([TOKEN, "the-next-token-of-all"], [200, 200]),
        (["the-next-token-of-all"], [401, 200]),
    ):
        api.tokens(*tokens)
        api.exporter._watch_files()
        given = [api.ask("POST", body=[], token=token).status_code for token in (TOKEN, "the-next-token-of-all")]
        assert given == answers


def test_a_reload_switches_push_off_and_on(api: Api) -> None:
    """Off, the pushed targets are no source, but stay in the state; on again they are back, with another file too."""
    live, idle = api.world.task("live"), TargetId(APP, "Room", "idle")
    api.push(live, idle)
    api.until("live", "running")
    api.world.write(push={})
    api.exporter.reload()
    assert (api.listed(), api.counted()) == ({"live": []}, 0)
    assert [api.ask(method, body=[]).status_code for method in ("POST", "PUT")] == [404, 404]
    api.restart()
    assert api.listed() == {"live": []}
    (api.world.folder / "others").write_text("another-token-than-before")
    api.world.write(push={"token_file": "others"})
    api.exporter.reload()
    assert api.listed() == {"live": ["push"], "idle": ["push"]}
    given = [api.ask("POST", body=[], token=token).status_code for token in (TOKEN, "another-token-than-before")]
    assert given == [401, 200]


def test_a_reload_with_a_bad_file_of_tokens_is_refused(api: Api) -> None:
    """The tokens in force stay so."""
    api.world.write(push={"token_file": "nowhere"})
    with pytest.raises(ConfigError, match=r"push\.token_file: the file does not exist"):
        api.exporter.reload()
    assert api.ask("POST", body=[]).status_code == 200


def test_no_token_is_told(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a log line of any level nor an answer, a repr or the state holds one, be it right or wrong."""
    caplog.set_level("DEBUG")
    wrong = "canary-in-the-wrong-token"
    answers = [api.ask(method, body=[], token=token) for method in ("POST", "PUT") for token in (TOKEN, wrong)]
    api.tokens("")
    api.exporter._watch_files()
    answers.append(api.ask("POST", body={}))
    (api.world.folder / "tokens").unlink()
    with pytest.raises(ConfigError) as caught:
        api.exporter.reload()
    shown = [answer.text + str(answer.headers) for answer in (*answers, api.ask("GET"), api.ask("GET", "/"))]
    reprs = [
        repr(part) for part in (api.exporter.config, api.exporter.push, api.exporter._components.stored_lists.secrets)
    ]
    logs = "".join([*shown, *reprs, caplog.text, text(api.exporter), str(caught.value)])
    stored = b"".join(path.read_bytes() for path in api.world.folder.glob("state.db*")).decode(errors="replace")
    assert [canary for canary in (TOKEN, wrong) if canary in logs + stored] == []


def test_thousands_of_targets_in_one_body(api: Api) -> None:
    """They are accepted; the same list again only renews them, and costs little."""
    api.world.write(metrics={"max_tasks": 100})  # what is rendered costs the most by far
    api.exporter.reload()
    many = [TargetId(APP, "Room", f"Task{number}") for number in range(5_000)]
    api.push(*many, method="PUT", team="edu", __expected_start__=2_000_000_000)
    assert api.counted() == 5_000
    before = [api.exporter.queries.task_state(target) for target in many]
    api.push(*many, method="PUT", team="edu", __expected_start__=2_000_000_000)
    assert all(api.exporter.queries.task_state(target) is state for target, state in zip(many, before, strict=True))


def test_a_thousand_wrong_app_ids_leave_no_series(api: Api) -> None:
    """Their counters are bounded while they are listed, and go with them."""

    def series() -> int:
        return api.exporter.exposition.scrape(Format.TEXT).count(b"\n")

    api.push(TargetId(APP, "Room", "Task"))
    before = series()
    api.push(*(TargetId(f"wrong{number}", "Room", "Task") for number in range(1000)))
    api.push(TargetId(APP, "Room", "Task"), method="PUT")
    wait_until(lambda: series() < before + 30, "hardly more series than before")


def test_a_renewed_target_that_is_tracked_no_more_is_tracked_again(api: Api) -> None:
    """A person removes a task that stays in the list; the next push of the same list brings it back."""
    task = TargetId(APP, "Room", "Task")
    api.push(task)
    api.exporter._components.registry.change_targets({}, [task], {})
    api.exporter._expire()
    assert api.exporter.queries.task_state(task) is None
    api.push(task)
    assert api.exporter.queries.task_state(task) is not None


def test_what_is_pushed_is_bounded_in_all(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each push is bounded, and so is what many of them leave; a target that is renewed is none more."""
    monkeypatch.setattr("exporter.discovery.merge.MAX_TARGETS", 2)
    one, two, three = (TargetId(APP, "Room", name) for name in ("one", "two", "three"))
    api.push(one, two)
    api.push(two)
    refused = api.ask("POST", body=[{"targets": [str(three)]}])
    assert (refused.status_code, refused.json()["problems"]) == (
        400,
        [f"with these there would be {OVER_LIMIT}: list fewer, or with fewer labels"],
    )
    api.push(three, method="PUT")
    assert list(api.listed()) == ["three"]


def test_labels_of_many_pushes_and_lists_are_bounded_in_all(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A push beyond the sum is refused; a list that grows beyond it costs targets, which a metric and the log tell."""
    monkeypatch.setattr("exporter.discovery.merge.MAX_LABEL_BYTES", 40)
    one, two, three = (TargetId(APP, "Room", name) for name in ("one", "two", "three"))
    api.push(one, text="x" * 10)
    api.push(two, text="x" * 10)
    refused = api.ask("POST", body=[{"targets": [str(three)], "labels": {"text": "x" * 20}}])
    assert (refused.status_code, OVER_LIMIT in refused.json()["error"]) == (400, True)
    api.push(three, text="x" * 8)
    listed = {"targets": [f"{APP}/Room/listed"], "labels": {"text": "x" * 20}}
    api.world.write(push={"token_file": "tokens"}, static_configs=[listed])
    api.exporter.reload()
    wait_until(lambda: samples(api.exporter, "webcast_targets_rejected")["over_limit",] == 2, "two are too many")
    assert set(api.listed()) == {"listed", "one"}
    assert f"2 targets are not read, because there are {OVER_LIMIT}" in caplog.text
