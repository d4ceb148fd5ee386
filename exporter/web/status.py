"""`GET /status`: what runs here, since when, with which flags, why it is not ready, and the last callbacks."""

import platform
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response

from exporter import __version__
from exporter.config.durations import format_duration
from exporter.config.state import State
from exporter.web.page import house_of, page

PARTS = ("prometheus-client", "requests", "apscheduler", "sqlalchemy", "starlette", "uvicorn")


def status(request: Request) -> Response:
    """The status page."""
    house = house_of(request)
    insight = house.insight
    context = {
        "now": insight.now,
        "uptime": _whole_seconds(house.uptime),
        "reload": insight.reload,
        "kept_in": _place(insight.config.state),
        "state": house.not_ready or "Ready.",
        "alive": house.alive,
        "flags": house.flags,
        "versions": {"webcast-exporter": __version__, "Python": platform.python_version(), **_versions()},
        "callbacks": house.callbacks,
        "seen": [(seen, _whole_seconds(seen.age)) for seen in house.callbacks.recent()],
    }
    return page(request, "status.html", context)


def _versions() -> dict[str, str]:
    return {part: version(part) for part in PARTS}


def _whole_seconds(seconds: float) -> str:
    return format_duration(float(int(seconds)))


def _place(state: State) -> str:
    return str(state.path or state.url) if state.path or state.url.is_shared else "memory only"
