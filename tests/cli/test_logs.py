import contextlib
import json
import logging
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from exporter import logs
from exporter.logs import BLOCKED_AFTER, CLIENT_LIMIT, USUAL_LIMIT, QueuedLogHandler, dropped_lines
from tests.support import web_client
from tests.support.waiting import wait_equal, wait_until

pytestmark = pytest.mark.slow

EVENTS = structlog.stdlib.get_logger("exporter.events")

NASTY = 'two\nlines "quoted" a=b \\ back\tslash\r\u2028 会'


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The logging of pytest comes back after each test."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    yield
    for handler in root.handlers:
        if isinstance(handler, QueuedLogHandler):
            handler.close()
    root.handlers = before[0]
    root.setLevel(before[1])


def broken() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(NASTY)
    return caught.value


def queue() -> QueuedLogHandler:
    (handler,) = (each for each in logging.getLogger().handlers if isinstance(each, QueuedLogHandler))
    return handler


def written(capsys: pytest.CaptureFixture[str]) -> str:
    """What is on standard error once the queue is written."""
    assert queue().wait_written(60)
    out, err = capsys.readouterr()
    assert out == ""
    return err


def say(fmt: str, capsys: pytest.CaptureFixture[str], level: str = "info") -> list[str]:
    logs.configure(level, fmt)
    log = logging.getLogger("exporter.somewhere")
    log.debug("too fine")
    log.info("plain")
    log.warning("with %s", NASTY)
    log.error("it broke", exc_info=broken())
    return written(capsys).splitlines()


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each record is one JSON object on one line, an exception within it."""
    plain, nasty, broken = (json.loads(line) for line in say("json", capsys))
    assert (plain["level"], plain["logger"], plain["msg"]) == ("info", "exporter.somewhere", "plain")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", plain["ts"])
    assert nasty["msg"] == f"with {NASTY}"
    assert "Traceback" in broken["exception"]
    assert "RuntimeError" in broken["exception"]


def test_logfmt_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each record is one line of name=value; what is not plain is quoted, and comes back as it was."""
    lines = say("logfmt", capsys)
    assert len(lines) == 3
    assert re.fullmatch(r"ts=\S+Z level=info logger=exporter\.somewhere msg=plain", lines[0])
    value = lines[1].partition(" msg=")[2]
    assert json.loads(value) == f"with {NASTY}"
    names = [re.match(r"[a-z]+(?==)", word) for word in shlex.split(lines[2].replace("\\\\", ""))]
    assert [name[0] for name in names if name] == ["ts", "level", "logger", "msg", "exception"]


@pytest.mark.parametrize(
    ("fmt", "line"),
    [
        (
            "logfmt",
            (
                'level=warning logger=exporter.events msg="circuit open" account=main reason="" on=true delay=5.0 '
                'path="a b" targets=x,y'
            ),
        ),
        (
            "json",
            (
                '"level": "warning", "logger": "exporter.events", "msg": "circuit open", "account": "main", '
                '"reason": null, "on": true, "delay": 5.0, "path": "a b", "targets": ["x", "y"]}'
            ),
        ),
    ],
)
def test_events_have_keys(capsys: pytest.CaptureFixture[str], fmt: str, line: str) -> None:
    logs.configure("info", fmt)
    EVENTS.warning("circuit open", account="main", reason=None, on=True, delay=5.0, path="a b", targets=["x", "y"])
    assert written(capsys).strip().endswith(line)


def test_an_event_in_an_exception_has_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    try:
        raise broken()
    except RuntimeError:
        EVENTS.exception("unexpected error", job="housekeeping")
    line = json.loads(written(capsys))
    assert (line["msg"], line["job"]) == ("unexpected error", "housekeeping")
    assert "RuntimeError" in line["exception"]


def test_tests_can_look_at_events(caplog: pytest.LogCaptureFixture) -> None:
    """Both structlog's and pytest's own capture show the event and its keys."""
    with capture_logs() as captured:
        EVENTS.warning("circuit open", account="main")
    assert captured == [{"event": "circuit open", "account": "main", "log_level": "warning"}]
    EVENTS.warning("circuit open", account="main")
    assert caplog.messages == ["circuit open account=main"]


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warn", 2), ("error", 1)])
def test_levels(capsys: pytest.CaptureFixture[str], level: str, lines: int) -> None:
    """A level lets through itself and what is worse."""
    assert len(say("logfmt", capsys, level)) == lines


def test_libraries_keep_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """At debug our own lines are told, not the URLs of urllib3 nor the starts of uvicorn."""
    logs.configure("debug", "logfmt")
    for name in ("urllib3.connectionpool", "uvicorn.error", "sqlalchemy.engine"):
        logging.getLogger(name).info("GET https://rtc.example/?canary")
    logging.getLogger("urllib3.connectionpool").debug("canary")
    assert written(capsys) == ""


def test_chinese_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    """Text that prints is not escaped in logfmt."""
    logs.configure("info", "logfmt")
    EVENTS.warning("file changed", path="targets/班级.yml")
    assert written(capsys).endswith(' msg="file changed" path=targets/班级.yml\n')


def test_a_long_value_is_cut_and_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A reply of megabytes in an exception makes a line of kilobytes."""
    logs.configure("info", "json")
    EVENTS.warning("unexpected error", error="x" * 1_000_000)
    assert json.loads(written(capsys))["error"] == "x" * logs.MAX_VALUE + "..."


def test_it_writes_to_standard_error() -> None:
    """Standard output stays for what was asked for."""
    logs.configure("info", "json")
    assert queue().stream is sys.stderr


def test_a_log_that_is_not_read_stops_no_caller(caplog: pytest.LogCaptureFixture) -> None:
    """Lines are dropped and counted while the pipe is full; once it is read the rest comes.

    Then two lines say how many were dropped, and since when nothing was read.
    """
    reading, writing = os.pipe()
    before = dropped_lines()["queue_full"]
    with os.fdopen(writing, "w") as stream:
        handler = QueuedLogHandler(stream)
        handler.setFormatter(logs.EventFormatter("logfmt"))
        log = logging.getLogger("unread")
        log.propagate = False
        log.addHandler(handler)
        log.setLevel("DEBUG")
        for number in range(3_000):
            log.debug("%d %s", number, "x" * 1_000)
        dropped = dropped_lines()["queue_full"] - before
        assert 1_500 < dropped < 2_000
        assert not handler.wait_written(0)
        assert handler.waits_since is not None
        handler.waits_since -= 2 * BLOCKED_AFTER
        since = handler.waits_since
        taken: list[bytes] = []
        drain = threading.Thread(target=lambda: taken.extend(iter(lambda: os.read(reading, 65_536), b"")))
        drain.start()
        assert handler.wait_written(60)
        handler.close()
    drain.join(60)
    os.close(reading)
    log.removeHandler(handler)
    assert b"".join(taken).count(b"\n") == 3_000 - dropped
    expected = [
        {"event": "log was blocked", "since": since},
        {"event": "log lines dropped", "reason": "queue_full", "lines": dropped},
    ]
    wait_equal(lambda: [record.msg for record in caplog.records if record.name == logs.__name__], expected)


def test_a_closed_log_stops_no_caller() -> None:
    """A reader that has gone costs the lines."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        handler = QueuedLogHandler(stream)
        handler.handle(logging.LogRecord("x", logging.WARNING, "", 0, "lost", None, None))
        assert handler.wait_written(60)
        handler.close()


@pytest.mark.parametrize(
    ("logger", "limit"),
    [
        ("exporter.web.server", CLIENT_LIMIT),
        ("uvicorn.error", CLIENT_LIMIT),
        ("exporter.service.callbacks", CLIENT_LIMIT),
        ("asyncio", CLIENT_LIMIT),
        ("exporter.poller", USUAL_LIMIT),
    ],
)
def test_one_kind_of_line_is_limited(capsys: pytest.CaptureFixture[str], logger: str, limit: tuple[int, float]) -> None:
    """A flood of one event leaves a few lines, the next of which says how many were not written."""
    now = [0.0]
    handler = QueuedLogHandler(sys.stderr, lambda: now[0])
    handler.setFormatter(logs.EventFormatter("logfmt"))
    logging.getLogger().handlers = [handler]
    before = dropped_lines()["rate_limited"]
    log = structlog.stdlib.get_logger(logger)
    for number in range(1_000):
        log.warning("request refused", client=number)
    log.warning("another event")
    log.warning("request refused", client="other", reason="another one")
    now[0] += 1 / limit[1]
    log.warning("request refused", client="last")
    lines = written(capsys).splitlines()
    suppressed = 1_000 - limit[0]
    of_its_own = int(limit is CLIENT_LIMIT)
    assert dropped_lines()["rate_limited"] - before == suppressed + 1 - of_its_own
    assert len(lines) == limit[0] + 2 + of_its_own
    assert lines[-1].endswith(f'msg="request refused" client=last suppressed={suppressed + 1 - of_its_own}')


def answers(port: int, path: str) -> int:
    """The status of one GET, 0 while the port is not open."""
    try:
        return web_client.get(f"http://127.0.0.1:{port}{path}").status_code
    except httpx.TransportError:
        return 0


def test_a_log_that_is_never_read_stops_nothing(tmp_path: Path) -> None:
    """A full pipe on standard error: probes and scrapes are answered, lines are counted, and SIGTERM ends it well."""
    file = tmp_path / "webcast-exporter.yml"
    file.write_text("accounts: [{access_key_id: AK, secret_access_key: SK}]\nstate: {url: 'sqlite://'}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    words = ["serve", "--config.file", str(file), "--web.listen-address", f"127.0.0.1:{port}", "--log.level", "debug"]
    with subprocess.Popen([sys.executable, "-m", "exporter", *words], stderr=writing) as process:
        try:
            wait_until(lambda: answers(port, "/-/ready") == 200, "it is ready")
            for _ in range(20):
                assert answers(port, "/-/healthy") == 200
                process.send_signal(signal.SIGHUP)
            assert answers(port, "/metrics") == 200
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
    os.close(reading)
    os.close(writing)
