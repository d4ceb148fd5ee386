"""One whole simulation: fleet, gateway and server from one frozen description."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from random import Random
from types import TracebackType
from typing import Self

from exporter.model.credentials import Credentials
from exporter.simulator.authority import Account
from exporter.simulator.caller import Caller
from exporter.simulator.calls import Calls
from exporter.simulator.certificates import Certificates
from exporter.simulator.faults import Faults
from exporter.simulator.fleet import Fleet
from exporter.simulator.gateway import Gateway
from exporter.simulator.line import check_url
from exporter.simulator.manner import EXACT, Manner
from exporter.simulator.replies import Style
from exporter.simulator.server import Server

CREDENTIALS = Credentials(
    access_key="AKLTexampleexampleexample0000001",
    secret_key="WkdWdGJ5MXpaV055WlhRdFptOXlMWFJsYzNRPQ==",  # noqa: S106 - made up, and the simulator's alone
)
ACCOUNT = Account("default", (CREDENTIALS,))
CALLBACK_SECRET = "simulated-callback-secret"  # noqa: S105 - as made up as the keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is to be simulated: `tasks` of a demo fleet at `speed` times class time, where, and for whom.

    Events are called back to `callback_url`, empty = nowhere; ValueError when it is no URL. `certificates` make it an
    https endpoint.
    """

    tasks: int = 40
    speed: float = 60.0
    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    accounts: tuple[Account, ...] = (ACCOUNT,)
    region: str = "cn-north-1"
    qps: int = 60
    style: Style = field(default_factory=Style)
    callback_url: str = ""
    callback_secret: str = field(default=CALLBACK_SECRET, repr=False)
    callback_manner: Manner = EXACT
    certificates: Certificates | None = None

    def __post_init__(self) -> None:
        if self.callback_url:
            check_url(self.callback_url)


class Simulation:
    """A scene that answers while it is entered; StartError when its address cannot be had."""

    def __init__(self, scene: Scene | None = None, clock: Callable[[], float] = time.time) -> None:
        self.scene = scene or Scene()
        self.fleet = Fleet.demo(self.scene.tasks, self.scene.speed, self.scene.seed, clock)
        self.gateway = Gateway(
            self.fleet, self.scene.accounts, region=self.scene.region, qps=self.scene.qps, style=self.scene.style
        )
        self.server = Server(self.gateway, self.scene.host, self.scene.port, clock, self.scene.certificates)
        self.caller: Caller | None = None

    @property
    def url(self) -> str:
        """The endpoint to configure."""
        return self.server.url

    @property
    def credentials(self) -> Credentials:
        """The first key pair it accepts."""
        return self.scene.accounts[0].keys[0]

    @property
    def calls(self) -> Calls:
        """How it was called."""
        return self.gateway.calls

    @property
    def faults(self) -> Faults:
        """The fault mode in force."""
        return self.gateway.faults

    def call_back(self, url: str, *, secret: str | None = None, manner: Manner | None = None) -> Caller:
        """From now on call back to this URL, and to no other; the scene says what is not given. ValueError: no URL."""
        caller = Caller(
            self.fleet,
            url,
            self.scene.callback_secret if secret is None else secret,
            manner=manner or self.scene.callback_manner,
            dice=Random(self.scene.seed),
        )
        self._stop_calling()
        self.caller = caller
        self.gateway.callbacks = lambda: asdict(caller.counts)
        caller.start()
        return caller

    def __enter__(self) -> Self:
        if self.scene.callback_url:
            self.call_back(self.scene.callback_url)
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_calling()
        self.server.stop()

    def _stop_calling(self) -> None:
        if self.caller is not None:
            self.caller.stop()
