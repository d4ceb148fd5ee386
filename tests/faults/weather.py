"""A day of bad weather: every fault of the table befalls its account, all at once, and passes again."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.enums import Status
from exporter.simulator.server import make_certificates
from tests.faults.cases import CASES, FAILING, Told
from tests.faults.places import Place, begin, end, open_case, open_place
from tests.faults.process import EVENTS, Labels, Process, Scrape, start_process
from tests.real.conftest import wait_until

DNS_TASKS = 4
STALE_AFTER = 3.0
LIMIT = 120.0
"""Seconds until each account has met its fault, or is well again, that even a busy machine does not need."""
PAUSE = 0.4
NOWHERE = "https://rtc.volcengineapi.invalid"
DNS = "dns"


@dataclass
class Weather:
    """What was seen: scrapes before, while the faults lasted, and after."""

    process: Process
    places: Mapping[str, Place]
    calm: list[Scrape] = field(default_factory=list)
    storm: list[Scrape] = field(default_factory=list)
    after: list[Scrape] = field(default_factory=list)

    @property
    def tasks(self) -> Counter[str]:
        """How many tasks each app has."""
        return Counter(task.app_id for place in self.places.values() for task in place.tasks)

    @property
    def scrapes(self) -> list[Scrape]:
        """All of them, in order."""
        return self.calm + self.storm + self.after


def config_of(places: Mapping[str, Place]) -> dict[str, Any]:
    """All accounts in one exporter, read once a second."""
    return {
        "accounts": [place.account() for place in places.values()],
        "static_configs": [{"targets": [str(task) for place in places.values() for task in place.tasks]}],
        "polling": {"interval": "1s", "fast_interval": "1s", "max_backoff": "2s", "stale_after": f"{STALE_AFTER:g}s"},
    }


def live_through(stack: ExitStack, folder: Path) -> Weather:
    certificates = make_certificates(folder)
    places = {case.name: open_case(stack, case, certificates) for case in CASES}
    nowhere = places[DNS] = open_place(stack, DNS, endpoint=NOWHERE)
    nowhere.run_tasks(f"app-{DNS}", DNS_TASKS)
    process = start_process(stack, folder, config_of(places))
    weather = Weather(process, places)
    cases = {case.name: case for case in CASES}

    wait_until(lambda: len(_well(process.scrape(), places)) == len(places) - 1, "all but one are read")
    weather.calm.append(process.scrape())
    for name, case in cases.items():
        begin(places[name], case)
    _scrape_until(process, weather.storm, lambda scrape: not _not_met(process, scrape))
    process.look_at_pages()
    for name in cases:
        end(places[name])
    nowhere.settings.clear()
    process.configure(config_of(places))
    process.running.process.send_signal(signal.SIGHUP)
    _scrape_until(process, weather.after, lambda scrape: _well(scrape, places) == set(places))
    process.look_at_pages()
    _scrape_until(process, weather.after, lambda scrape: _well(scrape, places) == set(places))  # the pages took time
    assert process.running.end() == 0
    return weather


def _scrape_until(process: Process, scrapes: list[Scrape], holds: Callable[[Scrape], bool]) -> None:
    """Scrape until it holds of a scrape; what does not by then, the tests tell."""
    over = time.monotonic() + LIMIT
    while time.monotonic() < over:
        scrapes.append(process.scrape())
        if holds(scrapes[-1]):
            return
        time.sleep(PAUSE)


def _not_met(process: Process, scrape: Scrape) -> list[str]:
    """The failing cases that not all of their tasks show, or that the log does not tell yet."""
    told = {record.get("account") for record in process.records("warning", "error") if record["msg"] in EVENTS}
    return [
        case.name
        for case in FAILING
        if len(scrape.samples("webcast_task_read_error", app_id=case.app)) < case.tasks
        or scrape.value("webcast_tasks", app_id=case.app, status=case.display_status) != case.tasks
        or scrape.value("webcast_api_up", account=case.name) != case.up
        or (case.told is not Told.NOT and case.name not in told)
        or (case.reason == "not_found" and scrape.total("webcast_run_stops_total", app_id=case.app) < case.tasks)
    ] + [DNS] * (DNS not in told)


def _well(scrape: Scrape, places: Mapping[str, Place]) -> set[str]:
    """The accounts whose tasks' latest reads have all succeeded, none so long ago that it is stale."""
    succeeded = _tasks_of(scrape.samples("webcast_task_read_success"))
    good = succeeded & _tasks_of(scrape.samples("webcast_task_status", status=Status.RUNNING))
    return {name for name, place in places.items() if all((task.app_id, task.task_id) in good for task in place.tasks)}


def _tasks_of(samples: list[tuple[Labels, float]]) -> set[tuple[str, str]]:
    return {(of["app_id"], of["task_id"]) for of, value in samples if value}
