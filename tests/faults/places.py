"""Accounts of an exporter under test, each with a vendor of its own, and what can be done to their calls."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.simulator.faults import CANARY as VENDOR_MESSAGE
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import SimulatedAccount
from exporter.simulator.lifecycle import RunPlan, TaskSettings
from exporter.simulator.server import Certificates, Simulation, SimulationOptions
from tests.faults.cases import Case
from tests.faults.proxy import Proxy, ProxyMode

KEY = Credentials("AKLTcanaryinaccesskey00000000001", "canary-in-the-secret-key", "canary-in-the-session-token")
PROXY_PASSWORD = "canary-in-the-proxy-password"
QUERY = "canary-in-the-query"
SETTINGS = TaskSettings(source_url=f"https://classroom.example.com/live?token={QUERY}", max_running_time=3600)
RETRY_AFTER = 1
CANARIES = (KEY.secret_key, KEY.session_token, PROXY_PASSWORD, QUERY, VENDOR_MESSAGE, KEY.access_key)
"""What must be seen nowhere: secrets, the query of a SourceURL, the vendor's Message; the key is not shown either."""


@dataclass
class Place:
    """One account: its vendor, the tasks that run there, and the proxy on the way if there is one."""

    name: str
    simulation: Simulation
    tasks: list[TargetId] = field(default_factory=list)
    proxy: Proxy | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def run_tasks(self, app: str, number: int, prefix: str = "Task") -> list[TargetId]:
        """Let so many tasks of an app begin to run, a minute ago."""
        begun = [TargetId(app, "Room", f"{prefix}{index}") for index in range(number)]
        for target in begun:
            self.simulation.fleet.begin(target, RunPlan(SETTINGS), age=60)
        self.tasks += begun
        return begun

    def account(self) -> dict[str, Any]:
        """The element of `accounts`."""
        keys = {
            "access_key_id": KEY.access_key,
            "secret_access_key": KEY.secret_key,
            "session_token": KEY.session_token,
        }
        proxy = {"proxy_url": f"http://user:{PROXY_PASSWORD}@127.0.0.1:{self.proxy.port}"} if self.proxy else {}
        certificates = self.simulation.options.certificates
        trust = {"tls_config": {"ca_file": str(certificates.authority)}} if certificates else {}
        apps = sorted({target.app_id for target in self.tasks})
        own = {"name": self.name, "endpoint": self.simulation.url, "timeout": "1s", "app_ids": apps}
        return keys | proxy | trust | own | self.settings


def open_place(stack: ExitStack, name: str, certificates: Certificates | None = None, **settings: Any) -> Place:
    scene = SimulationOptions(tasks=0, speed=1, accounts=(SimulatedAccount(name, (KEY,)),), certificates=certificates)
    return Place(name, stack.enter_context(Simulation(scene)), settings=settings)


def open_case(stack: ExitStack, case: Case, certificates: Certificates, tasks: int = 0) -> Place:
    """A place where that may go wrong; an app's fault has another app beside it."""
    timeout = "1s" if case.reason == "timeout" else "30s"  # a busy machine must not make others fail for their time
    place = open_place(stack, case.name, certificates if case.tls else None, timeout=timeout)
    if case.behind_proxy:
        place.proxy = Proxy()
        stack.callback(place.proxy.close)
    for app in filter(None, (case.app, case.other_app)):
        place.run_tasks(app, tasks or case.tasks)
    return place


def begin(place: Place, case: Case) -> None:
    """Now it goes wrong."""
    faults = place.simulation.faults
    faults.latency, faults.ahead, faults.retry_after = case.latency, case.ahead, RETRY_AFTER
    faults.begin(case.mode, only=case.app if case.other_app else "")
    if place.proxy:
        place.proxy.turn(case.proxy)


def end(place: Place) -> None:
    """Now it is over."""
    place.simulation.faults.begin(FaultMode.NONE)
    if place.proxy:
        place.proxy.turn(ProxyMode.PASS)
