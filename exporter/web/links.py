"""Links of a page to itself with another query: what is not said anew stays."""

from collections.abc import Mapping
from urllib.parse import urlencode

from exporter.web.asked import Sort, TasksAsked


def link(path: str, query: Mapping[str, str | int], **changes: str | int) -> str:
    """The path with the query; what is empty is left out, and another filter or order begins at its first page."""
    merged = {**query, **changes}
    if "page" not in changes:
        merged.pop("page", None)
    said = urlencode({name: value for name, value in merged.items() if value not in ("", None)})
    return f"{path}?{said}" if said else path


def query_of(asked: TasksAsked, status: str) -> dict[str, str | int]:
    """The query that asks so; `status` as it was written."""
    order = ("-" if asked.backwards else "") + asked.sort
    return {
        "q": asked.text,
        "status": status,
        "account": asked.account,
        "app_id": asked.app_id,
        "source": asked.source or "",
        "sort": "" if order == Sort.WRONG else order,
        "page": asked.page if asked.page > 1 else "",
        "size": asked.size if asked.size != TasksAsked().size else "",
    }
