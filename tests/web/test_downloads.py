"""/dashboards/: the bundled files, to download."""

import json
from typing import TYPE_CHECKING

import pytest

from exporter.bundle.files import ExportOptions, bundle
from tests.web.test_pages import addresses

if TYPE_CHECKING:
    from tests.web.conftest import Site


def test_every_bundled_file_can_be_downloaded(site: "Site") -> None:
    """The page names each file of each folder, and what comes is its text."""
    found = addresses(site.get("/dashboards/").text)
    links = [address for address in found if address.startswith("/dashboards/") and address != "/dashboards/"]
    assert sorted(links) == [f"/dashboards/{name}" for name in bundle() if "/" in name]
    assert {link.removeprefix("/dashboards/"): site.get(link).text for link in links}.items() <= bundle().items()


def test_a_download_is_in_the_readers_language(site: "Site") -> None:
    """Titles and texts as `dashboards export --language` writes them."""
    chinese = bundle(ExportOptions(language="zh"))
    answer = site.get("/dashboards/grafana/fleet.json", accept_language="zh-CN")
    assert answer.text == chinese["grafana/fleet.json"] != bundle()["grafana/fleet.json"]


def test_a_download_is_saved_under_its_name(site: "Site") -> None:
    """As plain text that a browser saves and does not show."""
    answer = site.get("/dashboards/grafana/fleet.json")
    assert answer.headers["content-disposition"] == 'attachment; filename="fleet.json"'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert json.loads(answer.text)["uid"] == "webcast-fleet"


@pytest.mark.parametrize("name", ["nothing.json", "..%2fpyproject.toml", "source/__main__.py", "grafana", "%00"])
def test_what_is_not_bundled_is_not_there(site: "Site", name: str) -> None:
    """No other file can be had, whatever stands beside them."""
    assert site.get(f"/dashboards/{name}").status_code == 404
