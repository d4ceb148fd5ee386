"""The envelope of Prometheus's HTTP API, and times as it writes them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

ERROR_TYPES = {400: "bad_data", 401: "unauthorized", 404: "not_found", 413: "bad_data", 415: "bad_data"}
"""By HTTP status; all else is `unavailable`."""


def success(data: Any) -> Response:
    """200, with `data`."""
    return _json({"status": "success", "data": data}, 200)


def failure(status: int, sentence: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """An error with its sentence, and what `more` there is to say."""
    kind = ERROR_TYPES.get(status, "unavailable")
    return _json({"status": "error", "errorType": kind, "error": sentence, **more}, status, headers)


def moment(seconds: float | None) -> str | None:
    """Unix seconds as RFC 3339, in UTC and to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(document: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(body, status, headers, media_type="application/json")
