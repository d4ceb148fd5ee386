"""Every fault through the real process: what is shown, counted and said of it, and that nothing of it stays."""

import pytest

from exporter.enums import ReadFailure, Status
from tests.faults.cases import CASES, FAILING, Case, Told
from tests.faults.places import CANARIES
from tests.faults.process import Scrape
from tests.faults.weather import DNS, DNS_TASKS, STALE_AFTER, Weather

pytestmark = pytest.mark.real

ROUNDING = 0.01
TOGETHER = ("connect", "tls")
"""A fault of the listener or the proxy breaks connections off, which calls under way meet so, in a handshake as tls."""

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
failing = pytest.mark.parametrize("case", FAILING, ids=lambda case: case.name)


def status_of(scrape: Scrape, app: str, task: str) -> dict[str, float]:
    return scrape.by("status", "webcast_task_status", app_id=app, task_id=task)


def failures(scrape: Scrape, case: Case) -> dict[str, float]:
    """The failed calls of its account by reason."""
    return scrape.by("reason", "webcast_api_request_failures_total", account=case.name)


def told_of(weather: Weather, name: str, *levels: str) -> list[str]:
    """The events of an account and its apps above debug."""
    return [event["msg"] for event in weather.process.events(name, *levels)]


@all_cases
def test_each_task_says_why_its_read_failed(weather: Weather, case: Case) -> None:
    """All its tasks show the one reason and no success; where reads go on, and in the other app, none fails."""
    last = weather.storm[-1]
    errors = last.samples("webcast_task_read_error", app_id=case.app)
    expected = case.tasks if case.reason else 0
    assert [of["reason"] for of, _ in errors] == [case.reason] * expected
    assert last.total("webcast_task_read_success", app_id=case.app) == case.tasks - expected
    if case.other_app:
        assert last.samples("webcast_task_read_error", app_id=case.other_app) == []
        assert last.total("webcast_task_read_success", app_id=case.other_app) == case.tasks


@all_cases
def test_api_up_tells_of_the_account(weather: Weather, case: Case) -> None:
    """1 before and after; while the fault lasts, and nothing of the account was answered as it should, 0."""
    values = [
        scrapes[-1].value("webcast_api_up", account=case.name)
        for scrapes in (weather.calm, weather.storm, weather.after)
    ]
    assert values == [1, float(case.up), 1]


@all_cases
def test_failures_are_counted_by_reason(weather: Weather, case: Case) -> None:
    """Every reason is there from the start; only the fault's grows, and what is not found is no failure."""
    before, after = failures(weather.calm[-1], case), failures(weather.storm[-1], case)
    assert before.keys() == set(ReadFailure) - {ReadFailure.NOT_FOUND}
    grown = {reason for reason, count in after.items() if count > before[reason]}
    expected = {case.reason} - {"", "not_found"}
    broken_off = set(TOGETHER if case.tls else TOGETHER[:1])
    assert expected <= grown <= expected | broken_off


@all_cases
def test_the_last_state_stays_until_it_is_stale(weather: Weather, case: Case) -> None:
    """It is running for as long as that is fresh, then nothing until a read succeeds: never frozen, never all zero.

    The moments are the exporter's own. How late a busy machine is, is not judged: tests/model has a clock for that.
    """
    running = {each: float(each == Status.RUNNING) for each in Status}
    for task in (f"Task{number}" for number in range(case.tasks)):
        stale: set[float] = set()
        for scrape in weather.storm:
            status = status_of(scrape, case.app, task)
            seen = scrape.value("webcast_task_last_successful_read_timestamp_seconds", app_id=case.app, task_id=task)
            assert seen is not None
            assert status in ({}, running)
            assert not status or seen not in stale
            if not status:
                stale.add(seen)
                assert scrape.until - seen > STALE_AFTER - ROUNDING or case.display_status == "not_found"
        assert bool(status) == (case.display_status == "running")


@all_cases
def test_the_fleet_counts_what_is_known(weather: Weather, case: Case) -> None:
    """The tasks of a fault that lasts are stale, those that the API does not know not found."""
    counts = weather.storm[-1].by("status", "webcast_tasks", account=case.name, app_id=case.app)
    assert {status: count for status, count in counts.items() if count} == {case.display_status: case.tasks}


@failing
def test_the_log_tells_its_beginning_once(weather: Weather, case: Case) -> None:
    """One line, with whose it is and why; of a task that is not found none, for that is an answer."""
    events = weather.process.events(case.name, "warning", "error")
    assert [event["msg"] for event in events] == ([] if case.told is Told.NOT else [case.told.value[0]])
    for event in events:
        assert case.words in event["error"]
        assert event.get("app_id") == (case.app if case.told is Told.OF_AN_APP else None)


@failing
def test_the_log_tells_its_end_once(weather: Weather, case: Case) -> None:
    """One line; that of a rate which is full again may come later."""
    told = told_of(weather, case.name, "info")
    assert told == ([] if case.told is Told.NOT else [case.told.value[1]]) or (
        case.told is Told.OF_THE_RATE and not told
    )


@pytest.mark.parametrize("case", [case for case in CASES if not case.reason], ids=lambda case: case.name)
def test_what_harms_no_read_is_not_told(weather: Weather, case: Case) -> None:
    """Not a line."""
    assert told_of(weather, case.name, "info", "warning", "error") == []


@pytest.mark.parametrize("name", [*(case.name for case in CASES), DNS])
def test_all_is_well_again(weather: Weather, name: str) -> None:
    last = weather.after[-1]
    counts = last.samples("webcast_tasks", account=name)
    assert {of["status"] for of, count in counts if count} == {"running"}
    assert last.samples("webcast_task_read_error", app_id=f"app-{name}") == []


def test_a_name_that_does_not_resolve(weather: Weather) -> None:
    """A host that does not exist is `connect`; with another endpoint in a reloaded configuration it is over."""
    before = weather.storm[-1]
    errors = before.samples("webcast_task_read_error", app_id=f"app-{DNS}")
    assert [of["reason"] for of, _ in errors] == ["connect"] * DNS_TASKS
    assert before.value("webcast_api_up", account=DNS) == 0
    counts = before.by("status", "webcast_tasks", account=DNS)
    assert {status: count for status, count in counts.items() if count} == {"stale": DNS_TASKS}
    opened, closed = weather.process.events(DNS, "warning", "info")
    assert (opened["msg"], opened["error"], closed["msg"]) == (
        "circuit open",
        "the host name does not resolve",
        "circuit closed",
    )


def test_the_clock_is_measured_by_the_date_header(weather: Weather) -> None:
    """Refused for its time or not, the account shows by how much the server's clock is ahead; others show none."""
    skews = weather.storm[-1].by("account", "webcast_api_clock_skew_seconds")
    assert skews["clock"] == pytest.approx(3600, abs=3)
    assert skews["clock_a_bit"] == pytest.approx(-100, abs=3)
    assert skews["http_400"] == pytest.approx(0, abs=3)
    assert weather.after[-1].value("webcast_api_clock_skew_seconds", account="clock") == pytest.approx(0, abs=3)


def test_odd_fields_lose_their_series_and_are_counted(weather: Weather) -> None:
    """The status stays; each field of the wrong type has no series, and comes back; numbers as text are numbers."""
    names = ("webcast_task_start_timestamp_seconds", "webcast_task_max_running_time_seconds")
    for name in names:
        at_odds, as_text = (
            [len(scrapes[-1].samples(name, app_id=f"app-{case}")) for scrapes in (weather.storm, weather.after)]
            for case in ("odd_fields", "numbers_as_text")
        )
        assert (at_odds, as_text) == ([0, 4], [4, 4])
    unexpected = weather.storm[-1].by("field", "webcast_api_unexpected_values_total")
    assert {"StartTime", "MaxRunningTime", "MonitorConfig", "VideoSolutions", "Status"} <= {
        field for field, count in unexpected.items() if count
    }


def test_readiness_and_health_never_follow_the_vendor(weather: Weather) -> None:
    """200 at every look, whatever the API did; and every scrape was answered."""
    assert {status for _, status in weather.process.health} == {200}
    assert len(weather.process.health) >= 2 * len(weather.scrapes)


def test_only_what_the_api_does_not_know_any_more_counts_as_lost(weather: Weather) -> None:
    """After `stale_after` of that, once each; no other fault ends a run, each was seen running once."""
    last = weather.after[-1]
    lost = {case.app: float(case.tasks) for case in CASES if case.reason == "not_found"}
    assert {
        of["app_id"]: count for of, count in last.samples("webcast_run_stops_total", reason="Lost") if count
    } == lost
    assert last.total("webcast_run_stops_total") == sum(lost.values())
    assert last.total("webcast_run_ends_unseen_total") == 0
    runs = last.by("app_id", "webcast_run_transitions_total", status="running")
    assert runs == {app: float(number) for app, number in weather.tasks.items()}
    assert last.total("webcast_run_transitions_total") == sum(runs.values())


def test_no_error_was_unforeseen(weather: Weather) -> None:
    last = weather.after[-1]
    assert last.total("webcast_exporter_internal_errors_total") == 0
    assert last.total("webcast_exporter_scheduler_events_total", event="error") == 0


def test_no_secret_is_told(weather: Weather) -> None:
    """Keys, a token, a proxy's password, a SourceURL's query, the vendor's Message: in no line at debug, on no page."""
    written = weather.process.written()
    assert [canary for canary in CANARIES if canary in written] == []
    assert "classroom.example.com" in written
    assert "Traceback" not in written
