"""How often an exporter calls while something is wrong: accounts in trouble beside one that is not, in one process."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from exporter.model.target import TargetId
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import SimulatedAccount
from exporter.simulator.replies import Outcome
from tests.faults.places import KEY, TaskCountKey, open_place
from tests.faults.process import Process, start_process
from tests.faults.scrapes import Scrape
from tests.real.conftest import wait_until

NEW_KEY = replace(KEY, secret_key="canary-in-the-new-secret-key", session_token="canary-in-the-new-token")
RATE = 8.0
MANY = 20
FEW = 4
RETRY_AFTER = 5
OUTAGE = 13.0
AHEAD = {"date_ahead": 40.0, "date_behind": -40.0}
"""By how many seconds a vendor's clock is wrong."""
DATED = ("seconds", "date", *AHEAD)
KEY_AFTER = 8.0
"""Seconds until the refused key is replaced: its probes come after 5, 15 and 35."""


@dataclass
class Pace:
    """What was seen: the accounts by name, the moments (Unix seconds) at which something changed, and scrapes."""

    process: Process
    places: dict[str, TaskCountKey]
    moments: dict[str, float] = field(default_factory=dict)
    scrapes: list[Scrape] = field(default_factory=list)

    def times(self, name: str, task: TargetId | None = None, since: str = "storm", until: str = "") -> list[float]:
        """When an account's vendor was called between two moments."""
        end = self.moments[until] if until else time.time()
        return [at for at in self.places[name].times(self.moments[since], task) if at <= end]

    def mark(self, moment: str) -> None:
        """This is now."""
        self.moments[moment] = time.time()

    def scrape_until(self, holds: Callable[[Scrape], object], what: str, seconds: float) -> None:
        """Scrape again and again until it holds of a scrape."""

        def look() -> bool:
            self.scrapes.append(self.process.scrape())
            return bool(holds(self.scrapes[-1]))

        wait_until(look, what, seconds)


def gaps(times: Iterable[float]) -> list[float]:
    """The seconds between one and the next."""
    return [later - earlier for earlier, later in pairwise(times)]


def write_key(folder: Path, secret: str, token: str) -> None:
    """What a secret manager does: both files anew."""
    (folder / "secret").write_text(secret)
    (folder / "token").write_text(token)


def open_places(stack: ExitStack, folder: Path) -> dict[str, TaskCountKey]:
    """One for each thing that can be wrong."""
    write_key(folder, KEY.secret_key, KEY.session_token)
    key: dict[str, Any] = {
        **dict.fromkeys(("secret_access_key", "session_token")),
        "secret_access_key_file": "secret",
        "session_token_file": "token",
    }
    settings: dict[str, dict[str, Any]] = {"throttled": {"max_qps": RATE}, "key": key}
    names = ("well", "throttled", *DATED, "outage", "key", "apps", "poison", "silent")
    places = {name: open_place(stack, name, ahead=AHEAD.get(name, 0.0), **settings.get(name, {})) for name in names}
    for name, place in places.items():
        place.run_tasks(f"app-{name}", MANY if name in ("well", "outage", "silent") else FEW)
    places["apps"].run_tasks("app-refused", FEW)
    places["silent"].simulation.faults.begin(FaultMode.STALL)
    return places


def live_through(stack: ExitStack, folder: Path) -> Pace:
    """All of it at once, some twenty seconds."""
    places = open_places(stack, folder)
    config = {
        "accounts": [place.account() for place in places.values()],
        "static_configs": [{"targets": [str(task) for place in places.values() for task in place.tasks]}],
        "polling": {"interval": "1s", "fast_interval": "1s", "max_backoff": "60s", "stale_after": "5s"},
    }
    pace = Pace(start_process(stack, folder, config), places)
    answered = sum(len(place.tasks) for name, place in places.items() if name != "silent")
    pace.scrape_until(lambda scrape: scrape.total("webcast_task_read_success") >= answered, "all are read", 20)

    pace.mark("storm")
    _begin(places)
    for name in ("throttled", *DATED):
        _until_throttled(places[name])
    _wait(pace, KEY_AFTER)
    write_key(folder, NEW_KEY.secret_key, NEW_KEY.session_token)
    places["poison"].simulation.faults.begin(FaultMode.NONE)
    pace.mark("new key")
    _wait(pace, OUTAGE)
    for name in ("outage", "apps"):
        places[name].simulation.faults.begin(FaultMode.NONE)
    pace.mark("over")
    _wait(pace, OUTAGE + 6)
    pace.scrape_until(_is_well, "all is well again", 20)
    pace.mark("end")
    assert pace.process.running.end() == 0
    return pace


def _begin(places: dict[str, TaskCountKey]) -> None:
    for name in DATED:
        places[name].simulation.faults.retry_after = RETRY_AFTER
    for name, mode in (
        ("throttled", FaultMode.THROTTLE),
        *((name, FaultMode.THROTTLE_SECONDS if name == "seconds" else FaultMode.THROTTLE_DATE) for name in DATED),
        ("outage", FaultMode.SERVER_ERROR),
    ):
        places[name].simulation.faults.begin(mode)
    places["apps"].simulation.faults.begin(FaultMode.APP_DENIED, only="app-refused")
    places["poison"].simulation.faults.begin(FaultMode.CUT_JSON, only=str(places["poison"].tasks[0]))
    places["key"].simulation.gateway.accounts = (SimulatedAccount("key", (NEW_KEY,)),)


def _is_well(scrape: Scrape) -> bool:
    """The rate is full again, and the poison target is poison no more; a refused app may wait for its probe."""
    name, labels = "webcast_api_rate_limit_requests_per_second", {"account": "throttled", "kind": "effective"}
    return scrape.value(name, **labels) == RATE and not scrape.samples("webcast_task_read_error", app_id="app-poison")


def _until_throttled(place: TaskCountKey) -> None:
    """A call or two are throttled, and no more."""
    calls = place.simulation.calls
    wait_until(lambda: calls.counts[Outcome.THROTTLED], "a throttled call")
    place.simulation.faults.begin(FaultMode.NONE)


def _wait(pace: Pace, seconds: float) -> None:
    """Scrape until so many seconds after the beginning."""
    pace.scrape_until(lambda scrape: scrape.at >= pace.moments["storm"] + seconds, "the time has passed", seconds + 20)
