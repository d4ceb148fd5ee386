"""How often an exporter calls while something is wrong, through the real process."""

import pytest

from exporter.simulator.replies import Outcome
from tests.faults.pace import DATED, FEW, KEY_AFTER, MANY, RATE, RETRY_AFTER, Pace, gaps
from tests.faults.places import CANARIES

pytestmark = pytest.mark.real

SLACK = 1.5
"""Seconds that a loaded machine may be late."""
ON_TIME = 3.0
"""Seconds between two reads at an interval of 1 s; whoever is kept waiting by a fault waits for 5 s or more."""
CALLS_FAIL = ["circuit open", "circuit closed"]
QUIET, CLIMB = 5.0, 0.05


def effective(pace: Pace, since: float) -> list[tuple[float, float]]:
    """The throttled account's rate: seconds after `since`, calls a second."""
    name, labels = "webcast_api_rate_limit_requests_per_second", {"account": "throttled", "kind": "effective"}
    return [
        (scrape.at - since, rate)
        for scrape in pace.scrapes
        if scrape.at > since and (rate := scrape.value(name, **labels)) is not None
    ]


def throttled_at(pace: Pace, name: str) -> list[float]:
    """When an account's calls were throttled."""
    place = pace.places[name]
    return [call.at - place.ahead for call in place.simulation.calls.log if call.outcome is Outcome.THROTTLED]


def told(pace: Pace, name: str) -> list[str]:
    """The log's events of an account above debug."""
    return [event["msg"] for event in pace.process.events(name, "info", "warning", "error")]


def test_the_rate_halves_and_climbs_back(pace: Pace) -> None:
    """Half of it for five quiet seconds, then 5 % of `max_qps` more a second; told when it begins and when it ends."""
    seen = effective(pace, throttled_at(pace, "throttled")[-1])
    assert {rate for after, rate in seen if SLACK < after < QUIET - SLACK} == {RATE / 2}
    for after, rate in seen:
        if after > QUIET:
            assert rate <= RATE / 2 + CLIMB * RATE * (after - QUIET + SLACK)
            assert rate >= min(RATE, RATE / 2 + CLIMB * RATE * (after - QUIET - SLACK))
    assert seen[-1][1] == RATE
    assert told(pace, "throttled") == ["API throttles calls", "API throttles calls no more"]


@pytest.mark.parametrize("name", DATED)
def test_retry_after_is_kept(pace: Pace, name: str) -> None:
    """In either form, whatever the clocks say: the account makes no call until then, and goes on at once."""
    last = throttled_at(pace, name)[-1]
    following = [at for at in pace.times(name) if at > last + SLACK / 2]  # what was under way had been sent before
    waited = following[0] - last
    assert RETRY_AFTER - 1 - 0.1 < waited < RETRY_AFTER + SLACK  # a date has whole seconds
    assert len([at for at in following if at < following[0] + 2 * SLACK]) >= FEW


def test_an_outage_is_the_account_s(pace: Pace) -> None:
    """After ten lost calls it makes one every 5 s; on the first answer all are read, none in a backoff of its own."""
    during = pace.times("outage", until="over")
    probes = gaps(during)[-2:]
    assert len(during) <= 10 + MANY + 2  # calls that were under way are lost as well
    assert all(gap == pytest.approx(5, abs=SLACK) for gap in probes)
    after = pace.times("outage", since="over")
    assert after[0] - pace.moments["over"] < 5 + SLACK
    read = [pace.times("outage", task, since="over")[0] for task in pace.places["outage"].tasks]
    assert max(read) - after[0] < 2 * SLACK
    assert told(pace, "outage") == CALLS_FAIL


def test_a_refused_key_slows_the_account_and_a_new_one_is_tried_at_once(pace: Pace) -> None:
    """Probes after 5 s and ever more rarely; once the files have changed all is read at once, the next probe or not."""
    refused = pace.times("key", until="new key")
    assert 2 <= len(refused) <= 2 * FEW + 1
    assert refused[-1] - pace.moments["storm"] == pytest.approx(6, abs=1 + SLACK)
    read = [pace.times("key", task, since="new key")[0] for task in pace.places["key"].tasks]
    assert max(read) - pace.moments["new key"] < 1 + 2 * SLACK  # the files are looked at once a second
    assert KEY_AFTER + 1 + 2 * SLACK < 15, "the next probe would have come by then"
    assert told(pace, "key") == CALLS_FAIL


def test_a_refused_app_slows_that_app_alone(pace: Pace) -> None:
    """Two or three probes in thirteen seconds; the tasks of the other app are read at their interval."""
    tasks = pace.places["apps"].tasks
    refused = sum(len(pace.times("apps", task, until="over")) for task in tasks if task.app_id == "app-refused")
    assert 2 <= refused <= FEW + 3
    for task in tasks:
        if task.app_id != "app-refused":
            assert max(gaps(pace.times("apps", task))) < ON_TIME


def test_a_poison_target_delays_no_other(pace: Pace) -> None:
    """A task whose answer is always cut is read ever more rarely, the others of its account at their interval."""
    poison, *others = pace.places["poison"].tasks
    assert 3 <= len(pace.times("poison", poison, until="new key")) <= 5  # after 1, 2 and 4 s, a little less each
    for task in others:
        assert max(gaps(pace.times("poison", task))) < ON_TIME
    assert told(pace, "poison") == ["answer not usable", "answers usable again"]


def test_a_poison_account_delays_no_other(pace: Pace) -> None:
    """Beside an account that is never answered, and all the others in trouble, one that is well is read on time."""
    for task in pace.places["well"].tasks:
        times = pace.times("well", task)
        assert max(gaps(times)) < ON_TIME
        assert len(times) == pytest.approx(pace.moments["end"] - pace.moments["storm"], abs=3)
    assert told(pace, "well") == []
    assert pace.scrapes[-1].value("webcast_api_up", account="silent") == 0


def test_no_key_old_or_new_is_told(pace: Pace) -> None:
    """Nor anything else that is secret, at debug."""
    secrets = (*CANARIES, "canary-in-the-new-secret-key", "canary-in-the-new-token")
    written = pace.process.written()
    assert [canary for canary in secrets if canary in written] == []
    assert {status for _, status in pace.process.health} == {200}
