"""Every fault through the real process: what is shown, counted and said of it, and that nothing of it stays."""

import pytest

from exporter.enums import ReadFailure, Status
from exporter.simulator.faults import Faults
from tests.faults.cases import CASES, FAILING, Case, Told
from tests.faults.places import CANARIES
from tests.faults.scrapes import Scrape
from tests.faults.weather import DNS, STALE_AFTER, TASKS, Weather

pytestmark = pytest.mark.real

SLACK = 8.0  # seconds by which a busy machine may be late
"""Seconds that a loaded machine may be late."""
LAST_RECOVERY = 8.0
"""A broken way is tried every 5 s, and a call takes up to 1 s."""
INTERVAL, RETRY_AFTER = 1.0, Faults().retry_after
A_DATE_S = 1.0
"""Seconds that a Retry-After may be longer because a date has no fractions."""
TOGETHER = ("connect",)
"""A fault at the door breaks connections off, which calls under way meet as that."""

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
failing = pytest.mark.parametrize("case", FAILING, ids=lambda case: case.name)


def status_of(scrape: Scrape, app: str, task: str) -> dict[str, float]:
    """The status series of a task."""
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
    expected = TASKS if case.reason else 0
    assert [of["reason"] for of, _ in errors] == [case.reason] * expected
    assert last.total("webcast_task_read_success", app_id=case.app) == TASKS - expected
    if case.other_app:
        assert last.samples("webcast_task_read_error", app_id=case.other_app) == []
        assert last.total("webcast_task_read_success", app_id=case.other_app) == TASKS


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
    assert expected <= grown <= expected | set(TOGETHER)


@all_cases
def test_the_last_state_stays_until_it_is_stale(weather: Weather, case: Case) -> None:
    """It is running for as long as that is fresh, then nothing: never frozen for longer, never all zero.

    A read that has to wait for a Retry-After is late, and what is fresh stays so for three times that.
    """
    longest = 6 * (INTERVAL + RETRY_AFTER + A_DATE_S) if case.told is Told.OF_THE_RATE else STALE_AFTER
    for scrape in weather.storm:
        for app, task in ((case.app, f"Task{number}") for number in range(TASKS)):
            status = status_of(scrape, app, task)
            seen = scrape.value("webcast_task_last_successful_read_timestamp_seconds", app_id=app, task_id=task)
            assert seen is not None
            age = scrape.at - seen
            assert status in ({}, {each: float(each == Status.RUNNING) for each in Status})
            assert age < longest + SLACK or not status
            assert status or age > STALE_AFTER - SLACK or case.display_status == "not_found"


@all_cases
def test_the_fleet_counts_what_is_known(weather: Weather, case: Case) -> None:
    """The tasks of a fault that lasts are stale, those that the API does not know not found."""
    counts = weather.storm[-1].by("status", "webcast_tasks", account=case.name, app_id=case.app)
    assert {status: count for status, count in counts.items() if count} == {case.display_status: TASKS}


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
    """One line; that of a rate which is full again comes later (test_pace)."""
    expected = [] if case.told in (Told.NOT, Told.OF_THE_RATE) else [case.told.value[1]]
    assert told_of(weather, case.name, "info") == expected


@pytest.mark.parametrize("case", [case for case in CASES if not case.reason], ids=lambda case: case.name)
def test_what_harms_no_read_is_not_told(weather: Weather, case: Case) -> None:
    """Not a line."""
    assert told_of(weather, case.name, "info", "warning", "error") == []


@pytest.mark.parametrize("name", [*(case.name for case in CASES), DNS])
def test_all_is_well_again_within_seconds(weather: Weather, name: str) -> None:
    """Every task is read and running, and no error is shown."""
    assert weather.well_after[name] < LAST_RECOVERY
    last = weather.after[-1]
    counts = last.samples("webcast_tasks", account=name)
    assert {of["status"] for of, count in counts if count} == {"running"}
    assert last.samples("webcast_task_read_error", app_id=f"app-{name}") == []


def test_a_name_that_does_not_resolve(weather: Weather) -> None:
    """A host that does not exist is `connect`; with another endpoint in a reloaded configuration it is over."""
    before = weather.storm[-1]
    errors = before.samples("webcast_task_read_error", app_id=f"app-{DNS}")
    assert [of["reason"] for of, _ in errors] == ["connect"] * TASKS
    assert before.value("webcast_api_up", account=DNS) == 0
    counts = before.by("status", "webcast_tasks", account=DNS)
    assert {status: count for status, count in counts.items() if count} == {"stale": TASKS}
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
        assert (at_odds, as_text) == ([0, TASKS], [TASKS, TASKS])
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
    lost = {case.app for case in CASES if case.reason == "not_found"}
    assert {of["app_id"]: count for of, count in last.samples("webcast_run_stops_total") if count} == dict.fromkeys(
        lost, float(TASKS)
    )
    assert last.total("webcast_run_stops_total", reason="Lost") == TASKS * len(lost)
    assert last.total("webcast_run_ends_unseen_total") == 0
    runs = last.by("app_id", "webcast_run_transitions_total", status="running")
    assert set(runs.values()) == {float(TASKS)}
    assert last.total("webcast_run_transitions_total") == sum(runs.values())


def test_no_error_was_unforeseen(weather: Weather) -> None:
    """Nothing of it took the program by surprise."""
    last = weather.after[-1]
    assert last.total("webcast_exporter_internal_errors_total") == 0
    assert last.total("webcast_exporter_scheduler_events_total", event="error") == 0


def test_no_secret_is_told(weather: Weather) -> None:
    """Keys, a token, a proxy's password, a SourceURL's query, the vendor's Message: in no line at debug, on no page."""
    written = weather.process.written()
    assert [canary for canary in CANARIES if canary in written] == []
    assert "classroom.example.com" in written
    assert "Traceback" not in written
