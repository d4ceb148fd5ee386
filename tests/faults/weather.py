"""A day of bad weather: every fault of the table befalls its account, all at once, and passes again."""

import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.simulator.server import make_certificates
from tests.faults.cases import CASES, FAILING
from tests.faults.places import TaskCountKey, begin, end, open_case, open_place
from tests.faults.process import Process, start_process
from tests.faults.scrapes import Scrape
from tests.real.conftest import wait_until

TASKS = 4
STALE_AFTER = 3.0
STORM = 18.0
"""Seconds for which the faults last: ten lost calls of the slowest account, and then some."""
LONGER = 60.0
"""Seconds more, until each task has met its fault and is stale: a busy machine needs them."""
RECOVERY = 25.0
NOWHERE = "https://rtc.volcengineapi.invalid"
DNS = "dns"


@dataclass
class Weather:
    """What was seen: scrapes before, while the faults lasted, and after; and when each account was well again."""

    process: Process
    places: Mapping[str, TaskCountKey]
    calm: list[Scrape] = field(default_factory=list)
    storm: list[Scrape] = field(default_factory=list)
    after: list[Scrape] = field(default_factory=list)
    well_after: dict[str, float] = field(default_factory=dict)

    @property
    def scrapes(self) -> list[Scrape]:
        """All of them, in order."""
        return self.calm + self.storm + self.after


def config_of(places: Mapping[str, TaskCountKey]) -> dict[str, Any]:
    """All accounts in one exporter, read once a second."""
    return {
        "accounts": [place.account() for place in places.values()],
        "static_configs": [{"targets": [str(task) for place in places.values() for task in place.tasks]}],
        "polling": {"interval": "1s", "fast_interval": "1s", "max_backoff": "2s", "stale_after": f"{STALE_AFTER:g}s"},
    }


def live_through(stack: ExitStack, folder: Path) -> Weather:
    """The whole of it."""
    certificates = make_certificates(folder)
    places = {case.name: open_case(stack, case, certificates, TASKS) for case in CASES}
    nowhere = places[DNS] = open_place(stack, DNS, endpoint=NOWHERE)
    nowhere.run_tasks(f"app-{DNS}", TASKS)
    process = start_process(stack, folder, config_of(places))
    weather = Weather(process, places)
    cases = {case.name: case for case in CASES}

    wait_until(lambda: len(_well(process.scrape(), places)) == len(places) - 1, "all but one are read", 30)
    weather.calm.append(process.scrape())
    for name, case in cases.items():
        begin(places[name], case)
    over = time.monotonic() + STORM
    while (now := time.monotonic()) < over or (now < over + LONGER and not _all_met(weather.storm[-1])):
        weather.storm.append(process.scrape())
        time.sleep(0.4)
    process.look_at_pages()
    for name in cases:
        end(places[name])
    _recover(weather, set(cases))
    nowhere.settings.clear()
    process.configure(config_of(places))
    process.running.process.send_signal(signal.SIGHUP)
    _recover(weather, set(places))
    process.look_at_pages()
    weather.after.append(process.scrape())
    assert process.running.end()[0] == 0
    return weather


def _recover(weather: Weather, names: set[str]) -> None:
    """Until all of these are well, each with the seconds that took."""
    began = time.time()
    while missing := names - weather.well_after.keys():
        scrape = weather.process.scrape()
        weather.after.append(scrape)
        for name in missing & _well(scrape, weather.places):
            weather.well_after[name] = scrape.at - began
        assert scrape.at < began + RECOVERY, f"not well again: {missing}"
        time.sleep(0.3)


def _all_met(scrape: Scrape) -> bool:
    """Whether all tasks of all failing cases show it."""
    return all(
        len(scrape.samples("webcast_task_read_error", app_id=case.app)) == TASKS
        and scrape.value("webcast_tasks", app_id=case.app, status=case.display_status) == TASKS
        for case in FAILING
    )


def _well(scrape: Scrape, places: Mapping[str, TaskCountKey]) -> set[str]:
    """The accounts whose tasks' latest reads have all succeeded."""
    good = {(of["app_id"], of["task_id"]) for of, value in scrape.samples("webcast_task_read_success") if value}
    return {name for name, place in places.items() if all((task.app_id, task.task_id) in good for task in place.tasks)}
