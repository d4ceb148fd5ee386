import json
import logging
import re
import shlex
import sys
from collections.abc import Iterator

import pytest

from exporter.cli import logs

NASTY = 'two\nlines "quoted" a=b \\ back\tslash\r\u2028 会'


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The logging of pytest comes back after each test."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    yield
    root.handlers = before[0]
    root.setLevel(before[1])


def broken() -> RuntimeError:
    """An error with a traceback."""
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(NASTY)
    return caught.value


def say(fmt: str, capsys: pytest.CaptureFixture[str], level: str = "info") -> list[str]:
    """The lines that a few records make."""
    logs.configure(level, fmt)
    log = logging.getLogger("exporter.somewhere")
    log.debug("too fine")
    log.info("plain")
    log.warning("with %s", NASTY)
    log.error("it broke", exc_info=broken())
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


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
    assert capsys.readouterr().err == ""


def test_chinese_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    """Text that prints is not escaped in logfmt."""
    logs.configure("info", "logfmt")
    logging.getLogger("x").warning("targets/班级.yml")
    assert capsys.readouterr().err.endswith(" msg=targets/班级.yml\n")


def test_it_writes_to_standard_error() -> None:
    """Standard output stays for what was asked for."""
    logs.configure("info", "json")
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr
