import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import exporter.cli
from exporter import logs
from exporter.bundle import files
from exporter.cli import dashboards
from exporter.cli.metrics import reference
from exporter.config.schema import Config
from exporter.service.exporter import Exporter
from exporter.service.serve import serve
from exporter.service.signals import SignalAction, Signals
from exporter.web.app import WebOptions
from exporter.web.server import Listener
from tests.support import web_client

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Handlers of signals and of the log come back after each test."""
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    for number, handler in signals.items():
        signal.signal(number, handler)
    root.handlers = handlers
    root.setLevel(level)


def terminate() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def test_metrics_prints_the_reference(run: Run) -> None:
    """The output is the document itself, to the letter."""
    result = run("metrics")
    assert (result.exit_code, result.stdout) == (0, reference())


def test_simulate_says_where_it_is_and_stops(run: Run, meanwhile: Callable[..., Any]) -> None:
    """It tells the address and the credentials that it accepts, and a SIGTERM is exit 0."""
    first = signal.getsignal(signal.SIGTERM)

    def stop() -> None:
        while signal.getsignal(signal.SIGTERM) is first:
            threading.Event().wait(0.01)
        terminate()

    with meanwhile(stop):
        result = run("simulate", "--listen", "127.0.0.1:0")
    assert result.exit_code == 0
    assert "The simulated API answers on http://127.0.0.1:" in result.stdout
    for word in ("access key   AKLT", "secret key   ", "/targets", "/truth"):
        assert word in result.stdout


def test_simulate_on_every_interface(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`:PORT` is every interface here too."""
    monkeypatch.setattr(Signals, "wait", lambda _self, _seconds=None: SignalAction.STOP)
    result = run("simulate", "--listen", ":0", "--tasks", "1")
    assert (result.exit_code, "http://0.0.0.0:" in result.stdout) == (0, True)


def test_simulate_on_a_taken_port(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = run("simulate", "--listen", address)
    assert (result.exit_code, address in result.stderr) == (1, True)


def test_demo_serves_a_fleet(run: Run, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[..., Any]) -> None:
    """It shows where to look, has all its tasks, reads them, leaves nothing on the disk, and SIGTERM is exit 0."""
    at: list[str] = []
    configs: list[Config] = []
    begun = threading.Event()

    def watched(
        load: Callable[[], Config], addresses: list[str], environ: Mapping[str, str], started: Any, **_: Any
    ) -> None:
        configs.append(load())

        def then(running: Exporter, listener: Listener) -> None:
            started(running, listener)
            at.append(listener.url)
            begun.set()

        serve(load, addresses, environ, started=then)

    def look() -> None:
        assert begun.wait(20)
        try:
            while "webcast_task_status{" not in web_client.get(f"{at[0]}/metrics").text:
                threading.Event().wait(0.01)
        finally:
            terminate()

    monkeypatch.setattr("exporter.service.serve.serve", watched)
    with meanwhile(look):
        result = run("demo", "--web.listen-address", "127.0.0.1:0", "--tasks", "7", "--log.level", "error")
    assert result.exit_code == 0
    assert f"Tasks: {at[0]}/tasks, metrics: {at[0]}/metrics. Ctrl-C ends it." in result.stdout
    assert "The simulated API answers on http://127.0.0.1:" in result.stdout
    (config,) = configs
    assert [str(source.url) for source in config.http_sd_configs] == [f"{config.accounts[0].endpoint}/targets"]
    assert config.state.url.path is None


def test_serve_hands_over_what_it_was_given(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file is read at each load, with the environment; logging is set before anything is said."""
    file = tmp_path / "config.yml"
    file.write_text("accounts: [{name: first}]")
    names: list[str] = []

    def served(
        load: Callable[[], Config],
        addresses: tuple[str, ...],
        environ: Mapping[str, str],
        *,
        web: WebOptions,
        systemd_socket: bool,
        flags: Mapping[str, str],
        config_file: Path,
        web_file: Path,
        **_: object,
    ) -> None:
        assert addresses == ("127.0.0.1:0", "[::1]:0")
        assert (web, systemd_socket) == (WebOptions("/probe", "https://monitoring.example/webcast"), True)
        assert flags["--web.listen-address"] == "127.0.0.1:0, [::1]:0"
        assert (flags["--config.file"], flags["--log.format"]) == (str(file), "json")
        assert (flags["--web.config.file"], web_file, config_file) == ("web.yml", Path("web.yml"), file)
        assert environ is os.environ
        names.append(load().accounts[0].name)
        file.write_text("accounts: [{name: second}]")
        names.append(load().accounts[0].name)

    configured: list[tuple[str, str]] = []
    monkeypatch.setattr("exporter.service.serve.serve", served)
    monkeypatch.setattr(logs, "configure", lambda level, fmt: configured.append((level, fmt)))
    logging = ("--log.level", "debug", "--log.format", "json")
    flags = ("--web.telemetry-path", "/probe", "--web.external-url", "https://monitoring.example/webcast/")
    addresses = ("--web.listen-address", "127.0.0.1:0", "--web.listen-address=[::1]:0", "--web.systemd-socket")
    arguments = (*addresses, "--web.config.file", "web.yml", *flags, *logging)
    keys = {"VOLC_ACCESSKEY": "AKLTexample", "VOLC_SECRETKEY": "made-up"}
    assert run("serve", "--config.file", str(file), *arguments, env=keys).exit_code == 0
    assert names == ["first", "second"]
    assert configured[-1] == ("debug", "json")


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A bundle of three files, one of them without a suffix."""
    files = {"grafana/fleet.json": "{}", "prometheus/README": "云录屏", "prometheus/alerts.yml": "groups: []"}
    monkeypatch.setattr(dashboards, "bundle", lambda _options: files)
    return files


def test_export(run: Run, bundle: dict[str, str], tmp_path: Path) -> None:
    """Every file arrives, folders are made, and each written file is told."""
    target = tmp_path / "new" / "folder"
    result = run("dashboards", "export", str(target))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(target / name) for name in bundle]
    assert {name: (target / name).read_text("utf-8") for name in bundle} == bundle


@pytest.mark.usefixtures("bundle")
def test_export_replaces_and_keeps(run: Run, tmp_path: Path) -> None:
    """Files of the same name are replaced, others stay."""
    target = tmp_path / "folder"
    assert run("dashboards", "export", str(target)).exit_code == 0
    (target / "grafana/fleet.json").write_text("edited")
    (target / "mine.json").write_text("mine")
    assert run("dashboards", "export", str(target)).exit_code == 0
    assert (target / "grafana/fleet.json").read_text() == "{}"
    assert (target / "mine.json").read_text() == "mine"


@pytest.mark.usefixtures("bundle")
def test_export_where_it_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "grafana").write_text("a file where a folder must be")
    result = run("dashboards", "export", str(tmp_path / "folder"))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"webcast-exporter: cannot write {tmp_path}/folder/grafana/fleet.json: ")


@pytest.mark.parametrize("option", ["--exporter-url", "--runbook-url"])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("webcast.example", "is no address"),
        ("javascript:alert(1)", "is no address"),
        ("https://webcast.example/#top", "is no address"),
        ("https://webcast.example/{{ .Secret }}", "is no address"),
        ("https://user:hunter2@webcast.example", "must hold no password"),
    ],
)
def test_what_is_no_address_for_links(run: Run, tmp_path: Path, option: str, url: str, words: str) -> None:
    """Links stand in every message, where a password would be read by everybody; nor does the error repeat it."""
    result = run("dashboards", "export", str(tmp_path / "folder"), option, url)
    assert result.exit_code == 2
    assert words in result.output
    assert "hunter2" not in result.output
    assert not (tmp_path / "folder").exists()


def test_export_to_a_file(run: Run, tmp_path: Path) -> None:
    """A file is no directory: bad usage."""
    (tmp_path / "file").touch()
    assert run("dashboards", "export", str(tmp_path / "file")).exit_code == 2


def test_export_without_a_bundle(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation without its dashboards says so, and makes nothing."""
    monkeypatch.setattr(files, "IN_THE_WHEEL", tmp_path / "nothing")
    monkeypatch.setattr(files, "IN_THE_REPOSITORY", tmp_path / "nothing")
    result = run("dashboards", "export", str(tmp_path / "folder"))
    assert (result.exit_code, "holds no dashboards" in result.stderr) == (1, True)
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(("command", "code"), [("serve", 0), ("demo", 0), ("simulate", 0), ("get", 1), (None, 1)])
def test_a_stop_during_the_imports(monkeypatch: pytest.MonkeyPatch, command: str | None, code: int) -> None:
    """A signal before anything was begun ends a server well, and a question without its answer."""
    codes: list[int] = []
    monkeypatch.setattr("sys.argv", ["webcast-exporter", *filter(None, [command])])
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(exporter.cli, "import_module", lambda _name: Interrupted())
    exporter.cli.main()
    assert codes == [code]


class Interrupted:
    """Stands for the module of all commands, whose import is met by a SIGTERM."""

    def __init__(self) -> None:
        signal.raise_signal(signal.SIGTERM)

    def main(self) -> None:
        """Nothing more to do."""
