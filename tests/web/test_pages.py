"""Pages that are the same for every exporter: index, configuration, downloads, runbooks."""

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from exporter import __version__
from exporter.bundle.files import ExportOptions, bundle, runbooks
from exporter.enums import Rejection, Source, TaskProblem
from exporter.metrics.self_metrics import AccountNumbers
from exporter.metrics.series_cache import TaskCountKey
from exporter.model.task_state import DisplayStatus
from exporter.web.interfaces import Reload
from exporter.web.pages import PROBLEM_RUNBOOKS
from exporter.web.runbooks import Runbook, load_runbooks, render_runbook

if TYPE_CHECKING:
    from tests.web.conftest import Site


class Addresses(HTMLParser):
    """What a page links to and loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the addresses of one tag."""
        self.found += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def addresses(html: str) -> list[str]:
    """Every address that a page leads to, itself apart."""
    parser = Addresses()
    parser.feed(html)
    return [address for address in parser.found if not address.startswith("#")]


def test_landing_page_tells_version_and_counts(site: "Site") -> None:
    """The counts of all accounts and apps are summed by status, and each status is there, zeros too."""
    site.exporter.tasks = {
        TaskCountKey("a", "app", "running"): 2,
        TaskCountKey("b", "app", "running"): 3,
        TaskCountKey("b", "other", "stale"): 1,
    }
    answer = site.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert __version__ in answer.text
    numbers = dict.fromkeys(DisplayStatus, 0) | {DisplayStatus.RUNNING: 5, DisplayStatus.STALE: 1}
    for display_status, number in numbers.items():
        assert f'<dd><a href="/tasks?status={display_status}">{number}</a></dd>' in answer.text


def test_landing_page_tells_of_accounts_and_targets(site: "Site") -> None:
    """Whether calls are answered, what is left of the budget, who lists how many, and what is not accepted."""
    insight = site.exporter.queries
    insight.numbers = {
        "good": AccountNumbers(48.0, 48.0, 12.0, up=True, clock_skew=-0.25, oldest_due=None),
        "bad": AccountNumbers(48.0, 6.0, 96.0, up=False, clock_skew=None, oldest_due=insight.now - 90),
        "new": AccountNumbers(1.0, 1.0, 0.0, up=None, clock_skew=None, oldest_due=None),
    }
    insight.listed = {Source.STATIC: 1200, Source.PUSH: 0}
    insight.not_accepted = {Rejection.NO_ACCOUNT: 3, Rejection.INVALID: 0}
    insight.reload = Reload(good=True, at=insight.now - 60)
    page = site.get("/").text
    for told in (
        *(">up<", ">down<", "not called yet", "48/s, now 6/s", "12/s, 25 %", "96/s, 200 %", "1m 30s"),
        *("-0.2 s", "Listed by configuration", "1,200", "Not accepted: no account", "Configuration loaded", "1m ago"),
    ):
        assert told in page
    assert "Listed by push" not in page
    assert "Not ready" not in page


def test_landing_page_tells_what_is_wrong_with_the_exporter(site: "Site") -> None:
    """Why it is not ready, that nothing is read, and that the last reload failed."""
    site.exporter.not_ready, site.exporter.alive = "Not every list has been asked for yet.", False
    site.exporter.queries.reload = Reload(good=False, at=site.exporter.queries.now - 60)
    for path, told in (
        ("/", ("Not every list has been asked for yet.", "No task is read", "failed, the old one stays</b>")),
        ("/status", ("The last reload failed", "no task is read")),
        ("/config", ("the configuration before it",)),
    ):
        page = site.get(path).text
        assert [words for words in told if words not in page] == []


def test_what_the_landing_page_names_is_there(site: "Site") -> None:
    """Every link, stylesheet and icon of the page is on this host, and answers."""
    found = addresses(site.get("/").text)
    assert [address for address in found if not address.startswith("/")] == []
    assert {address: site.get(address).status_code for address in found} == dict.fromkeys(found, 200)
    assert "/metrics" in found


def test_values_on_a_page_are_escaped(site: "Site") -> None:
    """Templates escape what they are given: no value can become markup."""
    site.exporter.not_ready = "<script>"
    page = site.get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/static/style.css", "/favicon.ico", "/nothing"])
def test_every_answer_carries_the_safety_headers(site: "Site", path: str) -> None:
    """No page may load anything from elsewhere, and no browser guesses a type."""
    headers = site.get(path).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert (headers["x-frame-options"], headers["referrer-policy"]) == ("deny", "no-referrer")
    assert headers["x-content-type-options"] == "nosniff"


def test_favicon_is_served(site: "Site") -> None:
    """Browsers ask for it on their own."""
    answer = site.get("/favicon.ico")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("image/svg+xml")


@pytest.mark.parametrize("path", ["/nothing", "/static/nothing.css", "/static/../site.py", "/static/%2e%2e/site.py"])
def test_what_is_not_there_is_404(site: "Site", path: str) -> None:
    """An unknown path is 404, and no path leads out of the static folder."""
    assert site.get(path).status_code == 404


def test_an_unforeseen_error_is_a_bare_500(site: "Site") -> None:
    """A page that fails answers 500 without what went wrong, which is reported instead; the next request is served."""
    site.exporter.breaks = RuntimeError("canary")
    answer = site.get("/")
    assert answer.status_code == 500
    assert answer.text == "Internal error; the log says more.\n"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert site.exporter.failures == [("GET /", site.exporter.breaks)]
    assert site.get("/metrics").status_code == 200


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
