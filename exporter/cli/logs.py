"""Log lines as logfmt or JSON, one a line, on standard error."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import Processor

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")

_FIRST = ("ts", "level", "logger", "msg")
_PLAIN = re.compile(r'[^\s"=\\]+')

_SHARED: tuple[Processor, ...] = (
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.format_exc_info,
    structlog.processors.EventRenamer("msg"),
)


def logfmt(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    """`ts=... level=... msg="..."`; what is not plain is quoted as JSON quotes it, so that a line stays a line."""
    names = (*_FIRST, *(name for name in event if name not in _FIRST))
    return " ".join(f"{name}={_quoted(str(event[name]))}" for name in names if name in event)


def configure(level: str, fmt: str) -> None:
    """Send every log record to standard error from now on."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            logfmt if fmt == "logfmt" else structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel("WARNING" if level == "warn" else level.upper())
    # Other libraries say URLs at DEBUG and their own starts at INFO.
    for name in ("urllib3", "requests", "uvicorn", "asyncio", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _quoted(text: str) -> str:
    if text.isprintable():
        return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
    return json.dumps(text)
