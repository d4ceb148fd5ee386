"""Log lines as logfmt or JSON, one a line, on standard error."""

import logging
import sys

import structlog
from structlog.typing import Processor

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")

_SHARED: tuple[Processor, ...] = (
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.format_exc_info,
    structlog.processors.EventRenamer("msg"),
)


def configure(level: str, fmt: str) -> None:
    """Send every log record to standard error from now on."""
    renderer: Processor = structlog.processors.JSONRenderer()
    if fmt == "logfmt":
        renderer = structlog.processors.LogfmtRenderer(key_order=["ts", "level", "logger", "msg"])
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel("WARNING" if level == "warn" else level.upper())
    # Other libraries say URLs at DEBUG and their own starts at INFO.
    for name in ("urllib3", "requests", "uvicorn", "asyncio", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
