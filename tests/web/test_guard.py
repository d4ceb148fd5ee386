"""No answer names a host that its caller named: a redirect, a page, an error."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Site

ELSEWHERE = {"Host": "elsewhere.example", "X-Forwarded-Host": "elsewhere.example", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("path", "place"), [("/dashboards?x=1", "/dashboards/?x=1"), ("/metrics/", "/metrics"), ("/static", "/static/")]
)
def test_a_redirect_stays_here(site: "Site", path: str, place: str) -> None:
    """It is a path; whatever the caller says this host is called, and however it is reached."""
    answer = site.get(path, **ELSEWHERE)
    assert (answer.status_code, answer.headers["location"]) == (307, place)


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/status", "/dashboards/", "/api/v1/targets", "/nothing", "/callback"]
)
def test_a_page_names_no_host_of_the_callers(site: "Site", path: str) -> None:
    """Neither in its text nor in its headers."""
    answer = site.get(path, **ELSEWHERE)
    assert "elsewhere" not in answer.text + str(answer.headers)
