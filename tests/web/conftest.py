"""A site on a loopback port over a made-up house that a test may change."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge
from starlette.applications import Starlette

from exporter.errors import ConfigError, Problem
from exporter.exposition.board import Board, Place
from exporter.exposition.catalog.task import task_families
from exporter.exposition.scrape import Exposition
from exporter.model.known import Known
from exporter.model.target import Target, TargetId
from exporter.targets.groups import TargetGroup
from exporter.vocabulary import CallbackOutcome
from exporter.web.allowance import Allowance
from exporter.web.house import House
from exporter.web.listener import Listener, bind
from exporter.web.policy import WIDE_OPEN, Policy, PolicyNow
from exporter.web.recent import Seen
from exporter.web.site import UNSIGNED_AT_ONCE, UNSIGNED_PER_SECOND, create_door_site, create_site

JSON = "application/json"


def small_exposition() -> Exposition:
    """One gauge of the fleet, one task."""
    registry = CollectorRegistry()
    Gauge("webcast_example", "An example.", registry=registry).set(7)
    known = Known(Target(TargetId("app", "room", "task"), account="default"))
    board = Board(task_families(()), 10, {known.target.id: known}.get)
    board.show(known)
    return Exposition(registry, board)


@dataclass
class FakePush:
    """Takes what it is told; `breaks` is raised instead. `named` and `released` are what came."""

    on: bool = True
    token: str = "a-token-of-the-tests"
    breaks: Exception | None = None
    named: list[tuple[list[TargetGroup], bool]] = field(default_factory=list)
    released: list[tuple[TargetId, bool]] = field(default_factory=list)
    listed: bool = True

    def admits(self, token: str) -> bool:
        """There is one token."""
        return token == self.token

    def name(self, groups: list[TargetGroup], *, whole: bool) -> int:
        """Keep them."""
        if self.breaks is not None:
            raise self.breaks
        self.named.append((groups, whole))
        return sum(len(group.targets) for group in groups)

    def release(self, target: TargetId, *, now: bool) -> bool:
        """Keep it."""
        if self.breaks is not None:
            raise self.breaks
        self.released.append((target, now))
        return self.listed


@dataclass
class FakeCallbacks:
    """Takes whatever comes as the test says; `breaks` is raised instead."""

    on: bool = True
    apart: bool = False
    outcome: CallbackOutcome = CallbackOutcome.ACCEPTED
    breaks: Exception | None = None
    bodies: list[bytes] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def recent(self) -> list[Seen]:
        """As the test says."""
        return self.seen

    def take(self, body: bytes) -> CallbackOutcome:
        """Remember it."""
        if self.breaks is not None:
            raise self.breaks
        self.bodies.append(body)
        return self.outcome


@dataclass
class FakeHouse:
    """What the pages are told; `problems` make a reload fail, `failures` are what was reported as unforeseen.

    `policy` is the web config file's.
    """

    exposition: Exposition = field(default_factory=small_exposition)
    alive: bool = True
    not_ready: str = ""
    tasks: Mapping[Place, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    breaks: Exception | None = None
    reloads: int = 0
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    push: FakePush = field(default_factory=FakePush)
    callbacks: FakeCallbacks = field(default_factory=FakeCallbacks)
    flags: Mapping[str, str] = field(default_factory=dict)
    uptime: float = 0.0
    known: list[Known] = field(default_factory=list)
    policy: Policy = WIDE_OPEN

    def counts(self) -> Mapping[Place, int]:
        """As in the real one, unless it `breaks`."""
        if self.breaks is not None:
            raise self.breaks
        return self.tasks

    def tracked(self) -> list[Known]:
        """As the test says."""
        return self.known

    def reload(self) -> None:
        """Count it, and fail if there are problems."""
        self.reloads += 1
        if self.problems:
            raise ConfigError(self.problems)

    def failed(self, what: str, error: Exception) -> None:
        """Remember it."""
        self.failures.append((what, error))


@dataclass(frozen=True)
class Site:
    """A served site and a client of it."""

    house: FakeHouse
    client: httpx.Client

    def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        """One request; header names may be written with `_`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, path, headers=named)

    def send(self, method: str, body: bytes | str, token: str | None = None, **headers: str) -> httpx.Response:
        """A push of `body`, as whoever has the token unless another is given; `token=""` sends no header."""
        token = self.house.push.token if token is None else token
        if token:
            headers |= {"Authorization": f"Bearer {token}"}
        named = {name.replace("_", "-"): value for name, value in {"Content_Type": JSON, **headers}.items()}
        return self.client.request(method, "/api/v1/targets", content=body, headers=named)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One GET."""
        return self.ask("GET", path, **headers)


Serve = Callable[[FakeHouse], Site]


@contextmanager
def serving(make_site: Callable[[House, Callable[[str, Exception], None], PolicyNow], Starlette]) -> Iterator[Serve]:
    """One listener for all tests: its site passes each request on to the house of the test that runs."""
    houses = [FakeHouse()]

    class Current:
        def __getattr__(self, name: str) -> object:
            return getattr(houses[0], name)

    def failed(what: str, error: Exception) -> None:
        houses[0].failed(what, error)

    house: House = cast("House", Current())
    app = make_site(house, failed, lambda: houses[0].policy)
    listener = Listener(app, bind("127.0.0.1:0"), failed)
    listener.start()
    with httpx.Client(base_url=listener.url, trust_env=False) as client:

        def serve(house: FakeHouse) -> Site:
            houses[0] = house
            app.state.unsigned = Allowance(UNSIGNED_PER_SECOND, UNSIGNED_AT_ONCE)
            return Site(house, client)

        yield serve
    listener.stop()


@pytest.fixture(scope="session")
def served() -> Iterator[Serve]:
    """The main listener."""
    with serving(create_site) as serve:
        yield serve


@pytest.fixture(scope="session")
def door_served() -> Iterator[Serve]:
    """The listener for callbacks alone."""
    with serving(create_door_site) as serve:
        yield serve


@pytest.fixture
def site(served: Serve) -> Site:
    """A healthy house's site."""
    return served(FakeHouse())


@pytest.fixture
def door(door_served: Serve) -> Site:
    """A healthy house's listener for callbacks alone."""
    return door_served(FakeHouse())
