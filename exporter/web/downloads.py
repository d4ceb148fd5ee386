"""`GET /dashboards/`: the bundled dashboards and rules, to download."""

from collections.abc import Mapping
from functools import cache
from itertools import groupby
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from exporter.bundle.files import bundle
from exporter.web.page import page

PURPOSES = {
    "grafana": "Grafana: Dashboards, New, Import.",
    "prometheus": "Prometheus: rule_files. The two belong together.",
    "alertmanager": "Alertmanager: an example of routes, grouping, inhibition and messages.",
    "provisioning": "Grafana: what provisions the dashboards from files.",
    "kubernetes": "Kubernetes: the same for the Prometheus operator and Grafana's sidecar.",
}
"""What each folder is for."""


@cache
def _files() -> Mapping[str, str]:
    return bundle()


def downloads(request: Request) -> Response:
    """The list of them."""
    inside = [PurePosixPath(name) for name in _files() if "/" in name]
    folders = {folder: [*names] for folder, names in groupby(inside, lambda name: name.parts[0])}
    context = {
        "folders": [(folder, purpose, folders.get(folder, [])) for folder, purpose in PURPOSES.items()],
    }
    return page(request, "downloads.html", context)


def download(request: Request) -> Response:
    """One of them; 404 for whatever is no name of the list."""
    text = _files().get(request.path_params["name"])
    if text is None:
        return PlainTextResponse("no such file: see /dashboards/\n", status_code=404)
    name = PurePosixPath(request.path_params["name"]).name
    return PlainTextResponse(text, headers={"Content-Disposition": f'attachment; filename="{name}"'})
