import logging
import signal
import socket
import threading
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy.exc import DatabaseError

from exporter.errors import ConfigError, StartError
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.service import serve as serving
from exporter.service.exporter import Exporter
from exporter.service.serve import serve
from exporter.simulator.faults import FaultMode
from exporter.store.lease import FileLock
from exporter.web.server import Listener
from tests.support import web_client
from tests.support.small_world import APP, World
from tests.support.waiting import wait_until

During = Callable[[str, Exporter], None]
Serve = Callable[[During], None]


@pytest.fixture
def serve_while(world: World, at_sigterm: Callable[[], None]) -> Serve:
    """`serve_while(during)`: serve the world's file until `during(url, exporter)` is over, and stop by a SIGTERM."""

    def run(during: During) -> None:
        errors: list[BaseException] = []

        def act(exporter: Exporter, listener: Listener) -> None:
            try:
                during(listener.url, exporter)
            except BaseException as error:  # noqa: BLE001 - carried over to the test's own thread
                errors.append(error)
            finally:
                at_sigterm()

        def started(exporter: Exporter, listener: Listener) -> None:
            threading.Thread(target=act, args=(exporter, listener)).start()

        serve(world.load, ["127.0.0.1:0"], {}, started=started)
        for error in errors:
            raise error

    return run


def get(url: str) -> httpx.Response:
    return web_client.get(url)


def test_serve_from_start_to_stop(serve_while: Serve, world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is ready and healthy once it says that it serves; after a SIGTERM the port and the state are free again."""
    caplog.set_level(logging.INFO)
    urls: list[str] = []

    def during(url: str, _exporter: Exporter) -> None:
        urls.append(url)
        pages = ("/-/ready", "/-/healthy", "/metrics", "/", "/metrics?collect[]=fleet")
        assert [get(url + page).status_code for page in pages] == [200] * len(pages)
        names = {line.split("{")[0].split(" ")[0] for line in get(url + "/metrics").text.splitlines() if line[0] != "#"}
        assert {name for name in names if name not in get(f"{url}/metrics?name[]={name}").text} == set()

    serve_while(during)
    with pytest.raises(httpx.ConnectError):
        get(urls[0])
    lock = FileLock(world.folder / "state.db")
    assert lock.acquire(lambda: False)
    lock.release()
    assert [record.getMessage() for record in caplog.records][-1] == "stopped"


def test_a_stop_does_not_wait_for_calls_that_hang(serve_while: Serve, world: World) -> None:
    """One that waited for them would take longer than pytest's faulthandler_timeout."""
    world.simulation.faults.mode, world.simulation.faults.latency = FaultMode.LATENCY, 600
    world.write(
        accounts=[world.account(timeout="10m")],
        static_configs=world.lists(*(TargetId(APP, "Room", f"Task{number}") for number in range(20))),
    )

    def during(_url: str, _exporter: Exporter) -> None:
        while not any(world.simulation.calls.counts.values()):
            threading.Event().wait(0.01)

    serve_while(during)


def test_calls_that_a_stop_breaks_off_are_no_failures(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is counted, shown or logged of them: pollers take nothing in before calls are woken or broken off."""
    world.simulation.faults.mode, world.simulation.faults.latency = FaultMode.LATENCY, 60
    tasks = [world.task(f"task{number}") for number in range(20)]
    world.write(static_configs=world.lists(*tasks))
    exporter = world.start()
    wait_until(lambda: world.reads(tasks[0]), "calls on their way")
    woken: list[bool] = []
    poller, client = (
        exporter._components.pollers.by_account["default"],
        exporter._components.pollers.by_account["default"].account.client,
    )

    def noted(work: Callable[[], None]) -> Callable[[], None]:
        def act() -> None:
            woken.append(exporter._stopping.is_set())
            work()

        return act

    monkeypatch.setattr(poller, "stop", noted(poller.stop))
    monkeypatch.setattr(client, "close", noted(client.close))
    world.stop(exporter)
    assert woken == [False, False]
    assert "calls fail" not in caplog.text


def test_sighup_reloads(serve_while: Serve, world: World) -> None:
    """SIGHUP reloads as the page does; a file that is no YAML leaves the process alive, and it reloads again."""

    def hang_up() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)

    def during(url: str, _exporter: Exporter) -> None:
        def holds(line: str) -> Callable[[], bool]:
            return lambda: line in get(f"{url}/metrics").text

        world.write(static_configs=world.lists(TargetId(APP, "Room", "Task")))
        hang_up()
        wait_until(holds('webcast_targets{source="static"} 1.0'), "the reload")
        world.file.write_text("{[")
        hang_up()
        wait_until(holds("webcast_exporter_config_last_reload_successful 0.0"), "the failed reload")
        world.write()
        assert web_client.post(f"{url}/-/reload").status_code == 200
        assert holds("webcast_exporter_config_last_reload_successful 1.0")()

    serve_while(during)


def test_a_bad_reload_over_http(serve_while: Serve, world: World) -> None:
    """500 with the problems, one a line, and no secret."""

    def during(url: str, _exporter: Exporter) -> None:
        world.write(accounts=[world.account(max_qps=0, secret_access_key="canary")], pollng={})
        answer = web_client.post(f"{url}/-/reload")
        assert answer.status_code == 500
        assert {"accounts[0].max_qps: must be more than 0", "pollng: is not a known key; did you mean polling?"} <= set(
            answer.text.splitlines()
        )
        assert "canary" not in answer.text

    serve_while(during)


def test_a_page_that_fails_is_counted(serve_while: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error is a 500 without a traceback, counted, and logged with one."""

    def during(url: str, exporter: Exporter) -> None:
        def broken() -> dict[object, int]:
            raise RuntimeError("canary")

        exporter.counts = broken  # type: ignore[method-assign,assignment]  # the one page that asks it shall fail
        answer = get(url)
        assert (answer.status_code, "canary" in answer.text) == (500, False)
        assert "webcast_exporter_internal_errors_total 1.0" in get(f"{url}/metrics").text

    serve_while(during)
    assert 'unexpected error job="GET /"' in caplog.text or "unexpected error job=GET /" in caplog.text
    assert "RuntimeError: canary" in caplog.text


def test_a_stop_that_comes_during_the_start(world: World, at_sigterm: Callable[[], None]) -> None:
    """A SIGTERM that arrives while the configuration is read still ends it cleanly."""

    def load() -> object:
        at_sigterm()
        return world.load()

    serve(load, ["127.0.0.1:0"], {})  # type: ignore[arg-type]  # it does give a Config


def test_a_start_that_fails_leaves_nothing_behind(
    world: World, at_sigterm: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the port turns out to be taken after all, the state is let go and the scheduler ended with a StartError."""
    assert at_sigterm is not None
    before = {thread.name for thread in threading.enumerate()}

    def taken(_listener: Listener) -> None:
        raise StartError("cannot listen")

    monkeypatch.setattr(Listener, "start", taken)
    with pytest.raises(StartError, match="cannot listen"):
        serve(world.load, ["127.0.0.1:0"], {})
    lock = FileLock(world.folder / "state.db")
    assert lock.acquire(lambda: False)
    lock.release()
    assert "web" not in {thread.name for thread in threading.enumerate()} - before


def test_a_port_in_use(world: World, at_sigterm: Callable[[], None]) -> None:
    assert at_sigterm is not None
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(StartError, match="address already in use"):
        serve(world.load, [f"127.0.0.1:{other.getsockname()[1]}"], {})
    assert [path.name for path in world.folder.iterdir()] == ["webcast-exporter.yml"]


def test_bad_configuration(world: World, at_sigterm: Callable[[], None]) -> None:
    """A ConfigError passes as it is: the command line knows what to make of it."""
    assert at_sigterm is not None
    world.write(pollng={})
    with pytest.raises(ConfigError):
        serve(world.load, ["127.0.0.1:0"], {})


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look at", b"SQLite format 3\0" + b"x" * 99]
)
def test_a_state_that_is_no_database(world: World, at_sigterm: Callable[[], None], content: bytes) -> None:
    """It is refused with a sentence that names it, and stays as it was."""
    assert at_sigterm is not None
    state = world.folder / "state.db"
    state.write_bytes(content)
    with pytest.raises(StartError, match=rf"state {state}"):
        serve(world.load, ["127.0.0.1:0"], {})
    assert content == state.read_bytes()


def test_a_state_that_breaks_while_it_is_read(
    world: World, at_sigterm: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged page of the file is a sentence too."""
    assert at_sigterm is not None

    def damaged(*_args: object, **_more: object) -> None:
        raise DatabaseError("SELECT", {}, OSError("database disk image is malformed"))

    monkeypatch.setattr(serving, "Exporter", damaged)
    with pytest.raises(StartError, match="cannot be read: database disk image is malformed"):
        serve(world.load, ["127.0.0.1:0"], {})


def test_a_folder_that_does_not_exist(world: World, at_sigterm: Callable[[], None]) -> None:
    assert at_sigterm is not None
    world.write(state={"url": f"sqlite:///{world.folder}/nowhere/state.db"})
    with pytest.raises(StartError, match=r"nowhere/state\.db\.lock: no such file or directory"):
        serve(world.load, ["127.0.0.1:0"], {})


def test_health_follows_the_dispatcher(world: World) -> None:
    """A scheduler that has not started or does not move is not alive for long; a running one is."""
    exporter = world.exporter()
    assert exporter.not_ready
    world.shift.seconds += 6
    assert not exporter.alive
    exporter.watch()
    exporter.start()
    assert exporter.alive
    assert not exporter.not_ready


def test_the_clock_can_be_given(world: World, at_sigterm: Callable[[], None]) -> None:
    """`serve` takes its time from the clock that it is given."""
    times: list[float] = []

    def started(exporter: Exporter, _listener: Listener) -> None:
        times.append(exporter.started_at)
        at_sigterm()

    serve(world.load, ["127.0.0.1:0"], {}, clock=Clock(unix=lambda: 5.0), started=started)
    assert times == [5.0]
