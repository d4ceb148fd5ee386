"""The runbooks as pages."""

from typing import TYPE_CHECKING

import pytest

from exporter.bundle.files import runbooks
from exporter.enums import TaskProblem
from exporter.web.pages import PROBLEM_RUNBOOKS
from exporter.web.runbooks import Runbook, load_runbooks, render_runbook

if TYPE_CHECKING:
    from tests.web.conftest import Site


@pytest.mark.parametrize(
    ("language", "heading", "other"), [("en", "Meaning", "含义"), ("zh-CN,zh;q=0.9", "含义", "Meaning")]
)
def test_every_runbook_is_a_page_in_the_readers_language(site: "Site", language: str, heading: str, other: str) -> None:
    """With its queries."""
    names = [name for name in runbooks() if name != "README"]
    index = site.get("/runbooks/", Accept_Language=language).text
    assert len(names) > 20
    for name in names:
        assert f'href="/runbooks/{name}"' in index
        page = site.get(f"/runbooks/{name}", Accept_Language=language).text
        assert f"<h2>{heading}</h2>" in page
        assert f"<h2>{other}</h2>" not in page
        assert "<pre" in page


def test_what_is_no_runbook(site: "Site") -> None:
    """404 with a way to the others; the address of a file on a code host works too."""
    assert site.get("/runbooks/NoSuchAlert").status_code == 404
    assert site.get("/runbooks/README").status_code == 404
    assert site.get("/runbooks/WebCastClassDark.md").status_code == 200


def test_every_problem_has_a_runbook() -> None:
    """To which a task's page leads."""
    assert set(PROBLEM_RUNBOOKS) == set(TaskProblem)
    assert set(PROBLEM_RUNBOOKS.values()) <= runbooks().keys()


def test_markup_is_escaped_and_links_stay_here(site: "Site") -> None:
    """Whatever a runbook holds: raw HTML is text, and relative links to files are no links."""
    text = "## A\n\n<script>x</script>\n\n[a](../alerting.md) [b](WebCastClassDark.md) [c](javascript:x) [d](https://e.example)"
    html = render_runbook(Runbook("A", ("",), "", text), "/prefix")
    assert "<script>" not in html
    assert [part for part in ("alerting", "javascript") if f'href="{part}' in html or f'href="../{part}' in html] == []
    assert '<a href="/prefix/runbooks/WebCastClassDark">b</a>' in html
    assert '<a href="https://e.example">d</a>' in html
    assert site.get("/runbooks/").status_code == 200
    assert load_runbooks("en")["WebCastClassDark"].scope == ("critical", "a class")
