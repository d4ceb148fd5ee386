"""Alerts of the exporter itself: that it does not see, reads too little, or is told nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.config.schema import Config
from exporter.enums import CallbackOutcome
from exporter.errors import ConfigError, Problem
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import Ending
from exporter.simulator.replies import (
    INTERNAL_ERROR,
    INVALID_PARAMETER,
    OVER_QPS,
    SIGNATURE_MISMATCH,
    WRONG_OWNER,
    VendorError,
)
from tests.rules.scene import (
    APP,
    HOUR,
    JOB,
    POD,
    RUNNING,
    Scene,
    as_scraped,
    of_exporter,
    on_standby,
    scraped_from,
    task,
)
from tests.rules.tape import Alert
from tests.support.state import set_broken

pytestmark = pytest.mark.real

OTHER_APP = "661e0000000000000000543d"
ACCOUNT = {"account": "default"}


def start_classes(scene: Scene, number: int = 4, app_id: str = APP) -> list[TargetId]:
    """So many classes run."""
    targets = [task(f"Class{index}", app_id) for index in range(number)]
    for target in targets:
        scene.start(target)
    return targets


Refuses = Callable[[TargetId], VendorError | None]


def answers(_target: TargetId) -> None:
    """No call is refused."""


def some_of(calls: int, error: VendorError) -> Refuses:
    """Every so many calls one is answered with the error."""
    made = iter(range(1_000_000))
    return lambda _target: error if next(made) % calls == 0 else None


def test_exporter_down(scene: Scene) -> None:
    """An account that was read before is not read: it is named, and no other alert fires."""
    start_classes(scene)
    scene.list_all([task(f"ToCome{number}") for number in range(20)], starts=3 * HOUR, ends=4 * HOUR)
    scene.passes(minutes=5)
    scene.kill()
    scene.passes(minutes=3)
    scene.expects()
    scene.passes(minutes=1)
    down = of_exporter("WebCastExporterDown", "critical", **ACCOUNT)
    scene.expects(down)
    scene.passes(minutes=20)
    scene.expects(down)
    scene.restart("webcast-exporter-1")
    scene.passes(minutes=2)
    scene.expects()
    scene.prove()


def test_no_exporter_at_all(scene: Scene) -> None:
    """Where there never was one, that is said too."""
    scene.pods = {}
    scene.passes(minutes=4)
    scene.expects(of_exporter("WebCastExporterDown", "critical"))
    scene.prove()


def test_two_leaders(scene: Scene) -> None:
    """A leader and a standby are in order; two that read one account are not."""
    start_classes(scene)
    scene.pods = {POD: as_scraped, "webcast-exporter-1": on_standby}
    scene.passes(minutes=6)
    scene.expects()
    scene.pods = {POD: as_scraped, "webcast-exporter-1": as_scraped}
    scene.passes(minutes=4)
    scene.expects(of_exporter("WebCastNotOneLeader", "critical", **JOB, **ACCOUNT))
    scene.prove()


def test_two_leaders_that_a_relabelling_makes_one(scene: Scene) -> None:
    """Their series have the same labels, as long as a PodMonitor drops the pod; the gauge of each still has its own."""
    start_classes(scene)
    scene.pods = {POD: as_scraped}
    scene.passes(minutes=3)
    scene.pods = {POD: as_scraped, "webcast-exporter-1": leader_alone}
    scene.passes(minutes=4)
    scene.expects(of_exporter("WebCastNotOneLeader", "critical", job=JOB["job"], namespace=JOB["namespace"]))
    scene.prove()


def leader_alone(text: str) -> str:
    """What is left of a second leader when all other series of it have replaced those of the first."""
    return "".join(line + "\n" for line in text.splitlines() if line.startswith("webcast_exporter_leader "))


def test_no_leader(scene: Scene) -> None:
    """Replicas that are all on standby: none leads, so that the account is not read."""
    start_classes(scene)
    scene.passes(minutes=6)
    scene.pods = {POD: on_standby, "webcast-exporter-1": on_standby}
    scene.passes(minutes=5)
    scene.expects(
        of_exporter("WebCastNotOneLeader", "critical", **JOB),
        of_exporter("WebCastExporterDown", "critical", **ACCOUNT),
    )
    scene.prove()


def test_credentials_refused(scene: Scene) -> None:
    """A refused key is told of by its account; the classes, of which nothing is known any more, are not dark."""
    targets = start_classes(scene)
    scene.list_all(targets, starts=-HOUR, ends=HOUR)
    scene.passes(minutes=5)
    scene.vendor.refuses = lambda _target: SIGNATURE_MISMATCH
    scene.passes(minutes=2.5)
    scene.expects()
    scene.passes(minutes=17.5)
    scene.expects(
        of_exporter("WebCastCredentialsRefused", "critical", **ACCOUNT),
        of_exporter("WebCastDataStale", "critical", **ACCOUNT, app_id=APP),
    )
    scene.vendor.refuses = answers
    scene.passes(minutes=12)
    scene.expects()
    scene.prove()


def test_one_app_refused(scene: Scene) -> None:
    """An app of another account: it is named, and the account is not."""
    start_classes(scene)
    start_classes(scene, app_id=OTHER_APP)
    scene.vendor.refuses = lambda target: WRONG_OWNER if target.app_id == OTHER_APP else None
    scene.passes(minutes=8)
    refused = of_exporter("WebCastAppRefused", "critical", **ACCOUNT, app_id=OTHER_APP)
    scene.expects(refused, of_exporter("WebCastDataStale", "critical", **ACCOUNT, app_id=OTHER_APP))
    scene.prove()


def errors(reason: str) -> Alert:
    return of_exporter("WebCastApiErrors", "warning", **ACCOUNT, reason=reason)


def of_first(classes: int) -> Refuses:
    rejected = {task(f"Class{index}") for index in range(classes)}
    return lambda target: INVALID_PARAMETER if target in rejected else None


API_DOWN = of_exporter("WebCastApiDown", "critical", **ACCOUNT)
STALE, SOME_STALE = (
    of_exporter("WebCastDataStale", severity, **ACCOUNT, app_id=APP) for severity in ("critical", "warning")
)
THROTTLED = of_exporter("WebCastApiThrottled", "warning", **ACCOUNT, reason="throttled")
STORIES: dict[str, tuple[tuple[Refuses | None, float, tuple[Alert, ...]], ...]] = {
    "the API fails for all, and is back: its alert goes only after the stale data has gone": (
        (answers, 5, ()),
        (some_of(1, INTERNAL_ERROR), 3.5, ()),
        (None, 1, (API_DOWN,)),
        (None, 12, (API_DOWN, STALE, errors("server"))),
        (answers, 3, (API_DOWN, errors("server"))),
        (answers, 8, ()),
    ),
    "a tenth of the calls fails for a quarter of an hour; a few minutes of it are no alert": (
        (some_of(10, INTERNAL_ERROR), 6, ()),
        (answers, 10, ()),
        (some_of(10, INTERNAL_ERROR), 18, (errors("server"),)),
    ),
    "a tenth of the calls is throttled, on and on; then all of them": (
        (some_of(10, OVER_QPS), 8, ()),
        (None, 10, (THROTTLED,)),
        (some_of(1, OVER_QPS), 12, (THROTTLED, API_DOWN, STALE)),
    ),
    "some classes cannot be read: a warning, while the others are seen; most of them are too many": (
        (answers, 2, ()),
        (of_first(3), 8, ()),
        (None, 12, (SOME_STALE, errors("rejected"))),
        (of_first(5), 10, (STALE, errors("rejected"))),
    ),
}
"""From then on which calls are refused (None: as before), after how many minutes it is looked at, and what fires."""


@pytest.mark.parametrize("story", STORIES)
def test_calls_that_fail(scene: Scene, story: str) -> None:
    start_classes(scene, 7)
    for refuses, minutes, alerts in STORIES[story]:
        scene.vendor.refuses = refuses or scene.vendor.refuses
        scene.passes(minutes=minutes)
        scene.expects(*alerts)
    scene.prove()


def test_an_api_that_failed_last_thing_at_night(scene: Scene) -> None:
    """The last call of the day fails, and then there is nothing to call for: webcast_api_up stays 0, no more."""
    scene.configure(callbacks={})
    targets = start_classes(scene, 1)
    scene.passes(minutes=5)
    scene.vendor.failing = True
    scene.passes(minutes=1)
    scene.drop(*targets)
    scene.whole.exporter._components.registry.end_drain(targets[0])
    scene.passes(minutes=20)
    scene.asks("webcast_api_up", ({"__name__": "webcast_api_up", **ACCOUNT, **scraped_from(POD)}, 0))
    scene.expects()
    scene.prove()


def test_read_too_rarely(scene: Scene) -> None:
    """A call every ten seconds for 20 tasks: all are fresh, and each is read once in 200 seconds."""
    scene.configure(accounts=[{"name": "default", "access_key_id": "x", "secret_access_key": "y", "max_qps": 0.1}])
    start_classes(scene, 20)
    scene.passes(minutes=19)
    scene.expects(of_exporter("WebCastReadTooRarely", "warning", **ACCOUNT))
    scene.prove()


def test_read_often_enough(scene: Scene) -> None:
    scene.configure(polling={"interval": "100s"})
    start_classes(scene)
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_targets_rejected(scene: Scene, tmp_path: Path) -> None:
    """A list names what is no target, for over ten minutes."""
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps([{"targets": ["no-task", f"{APP}/Room1/Class0"]}]))
    scene.configure(file_sd_configs=[{"files": [str(listed)]}])
    start_classes(scene)
    refreshed(scene, minutes=9)
    scene.expects()
    refreshed(scene, minutes=3)
    scene.expects(of_exporter("WebCastTargetsRejected", "warning", **JOB, reason="invalid"))
    listed.write_text("[]")
    refreshed(scene, minutes=7)
    scene.expects()
    scene.prove()


def refreshed(scene: Scene, *, minutes: float) -> None:
    """Time passes, and lists are refreshed every minute."""
    for _ in range(round(minutes)):
        scene.refresh_lists()
        scene.passes(minutes=1)


def test_discovery_failing(scene: Scene, tmp_path: Path) -> None:
    """A list that cannot be had for ten minutes; one that fails once is none."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps([]))
    bad.write_text(json.dumps([]))
    scene.configure(file_sd_configs=[{"files": [str(bad)]}, {"files": [str(good)]}])
    refreshed(scene, minutes=5)
    bad.write_text("no list")
    refreshed(scene, minutes=9)
    scene.expects()
    good.write_text("no list")
    refreshed(scene, minutes=1)
    good.write_text(json.dumps([]))
    refreshed(scene, minutes=2)
    scene.expects(of_exporter("WebCastDiscoveryFailing", "warning", **JOB, source="file", config="file_sd_configs[0]"))
    scene.prove()


def test_callbacks_with_bad_signatures(scene: Scene) -> None:
    """A secret that was not rotated; four forged callbacks, or five among many, are no alert."""
    start_classes(scene)
    scene.passes(minutes=1)
    for number in range(4):
        assert scene.call_back(number, secret="guess") is CallbackOutcome.BAD_SIGNATURE
    scene.passes(minutes=5)
    scene.expects()
    scene.passes(minutes=12)
    for number in range(100, 155):
        assert scene.call_back(number) is CallbackOutcome.ACCEPTED
        assert number % 11 or scene.call_back(number, secret="guess") is CallbackOutcome.BAD_SIGNATURE
    scene.passes(minutes=5)
    scene.expects()
    scene.passes(minutes=12)
    for number in range(10):
        assert scene.call_back(number) is CallbackOutcome.ACCEPTED
        assert scene.call_back(number, secret="old") is CallbackOutcome.BAD_SIGNATURE
        scene.passes(minutes=0.5)
    scene.passes(minutes=1)
    scene.expects(of_exporter("WebCastCallbackSignaturesBad", "warning", **JOB, outcome="bad_signature"))
    scene.prove()


def test_callbacks_of_no_use(scene: Scene) -> None:
    """For an hour all that came was of another type or late; one that is of use ends it."""
    start_classes(scene)
    scene.passes(minutes=1)
    for number in range(2):
        assert scene.call_back(number, event_type="Record") is CallbackOutcome.IGNORED
        scene.passes(minutes=5)
    scene.expects()
    assert scene.call_back(2, event_type="Record") is CallbackOutcome.IGNORED
    scene.passes(minutes=5)
    assert scene.call_back(3, late=HOUR) is CallbackOutcome.STALE
    scene.passes(minutes=5)
    scene.expects(of_exporter("WebCastCallbacksUnused", "warning", **JOB))
    assert scene.call_back(4) is CallbackOutcome.ACCEPTED
    scene.passes(minutes=1)
    scene.expects()
    scene.prove()


def test_reload_failed(scene: Scene) -> None:
    """A configuration that cannot be loaded, for minutes; put right, it is over."""
    start_classes(scene)
    scene.passes(minutes=1)
    exporter = scene.whole.exporter
    config = exporter.config

    def refuse() -> Config:
        raise ConfigError([Problem("accounts", "must not be empty")])

    exporter._load_config = refuse
    with pytest.raises(ConfigError):
        exporter.reload()
    scene.passes(minutes=4)
    scene.expects()
    scene.passes(minutes=2)
    scene.expects(of_exporter("WebCastReloadFailed", "warning", **scraped_from(POD)))
    exporter._load_config = lambda: config
    exporter.reload()
    scene.passes(minutes=1)
    scene.expects()
    scene.prove()


def test_state_not_written(scene: Scene) -> None:
    """The disk takes no write for minutes; one that was locked for a moment is no alert."""
    scene.configure(callbacks={})
    start_classes(scene)
    scene.passes(minutes=1)
    set_read_only(scene, "ON")
    scene.start(task("Later"), replace(RUNNING, ends=60.0, ending=Ending.STOPPED_BY_API))
    scene.passes(minutes=1.5)
    scene.expects()
    set_read_only(scene, "OFF")
    scene.passes(minutes=6)
    scene.expects()
    set_read_only(scene, "ON")
    scene.vendor.fleet.stop(task("Class0"))
    scene.passes(minutes=8)
    scene.expects(of_exporter("WebCastStateNotWritten", "critical", **scraped_from(POD)))
    set_read_only(scene, "OFF")
    scene.passes(minutes=4)
    scene.expects()
    scene.prove()


def set_read_only(scene: Scene, switch: str) -> None:
    set_broken(scene.whole.exporter._components.store, broken=switch == "ON")


def test_state_silent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change waits for two minutes and longer; one that waits for seconds is no alert. Then changes are dropped."""
    start_classes(scene)
    scene.passes(minutes=1)
    store = type(scene.whole.exporter._components.store)
    begun = scene.now
    monkeypatch.setattr(store, "oldest_queued", property(lambda _self: begun))
    scene.passes(minutes=1)
    monkeypatch.setattr(store, "oldest_queued", property(lambda _self: None))
    scene.passes(minutes=4)
    scene.expects()
    again = scene.now
    monkeypatch.setattr(store, "oldest_queued", property(lambda _self: again))
    scene.passes(minutes=3)
    silent = of_exporter("WebCastStateSilent", "critical", **scraped_from(POD))
    scene.expects(silent)
    monkeypatch.setattr(store, "dropped", property(lambda _self: 7))
    scene.passes(minutes=1)
    scene.expects(silent, of_exporter("WebCastStateChangesDropped", "warning", **scraped_from(POD)))
    scene.prove()


def test_exporter_stuck(scene: Scene) -> None:
    """A list's disk and the log hang for minutes: each is named. What hangs for a moment is no alert."""
    start_classes(scene)
    hung: list[str] = []
    scene.pods = {POD: lambda text: as_scraped(text) + "".join(line + "\n" for line in hung)}
    scene.passes(minutes=1)
    job = 'webcast_exporter_hung_job_start_timestamp_seconds{job_name="refresh:file_sd_configs[0]"}'
    hung = [f"{job} {scene.now}"]
    scene.passes(minutes=1)
    hung = []
    scene.passes(minutes=4)
    scene.expects()
    hung = [f"{job} {scene.now}", f"webcast_exporter_log_blocked_since_timestamp_seconds {scene.now}"]
    scene.passes(minutes=3)
    scene.expects(
        *(
            of_exporter("WebCastExporterStuck", "warning", **scraped_from(POD), job_name=name)
            for name in ("log", "refresh:file_sd_configs[0]")
        )
    )
    hung = [f"webcast_exporter_lease_last_answer_timestamp_seconds {scene.now}"]
    scene.passes(minutes=1)
    scene.expects()
    scene.passes(minutes=2)
    scene.expects(of_exporter("WebCastExporterStuck", "warning", **scraped_from(POD), job_name="lease"))
    scene.prove()
