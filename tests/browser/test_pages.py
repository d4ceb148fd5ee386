"""The pages in a real Chromium: they load, sort, filter and stay live, for everybody and on every screen."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from exporter.enums import Status
from exporter.model.target import TargetId
from exporter.model.task import Task
from tests.browser.fleet import many, task_state

if TYPE_CHECKING:
    from tests.browser.conftest import Look
    from tests.web.conftest import Site

pytestmark = pytest.mark.real

NOTHING = "/tasks?status=nothing"
PATHS = (
    *("/", "/tasks", "/tasks?show=stopped", NOTHING, "/status", "/config", "/dashboards/"),
    *("/runbooks/", "/runbooks/WebCastClassDark"),
)
A_TASK = "/tasks/661e0000000000000000543c/Algebra-0/record"
PHONE = 390


def rooms(page: Page) -> list[str]:
    return [text.partition(" / ")[0] for text in page.locator("tbody th a").all_inner_texts()]


def faults(page: Page, **options: object) -> str:
    """What axe-core finds wrong, as its report; empty when it finds nothing."""
    found = Axe().run(page, options=options)
    return found.generate_report() if found.violations_count else ""


@pytest.mark.parametrize("path", [*PATHS, A_TASK])
def test_everybody_can_use_it(look: "Look", path: str) -> None:
    """No fault that axe-core knows of: names, order, landmarks; contrast in the dark too; on a phone nothing is cut."""
    with look() as view:
        page = view.go(path)
        assert faults(page) == ""
        page.emulate_media(color_scheme="dark")
        assert faults(page, runOnly=["color-contrast"]) == ""
        page.set_viewport_size({"width": PHONE, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        view.complaints = [said for said in view.complaints if path != NOTHING or "400" not in said]


def test_on_a_phone_each_task_is_a_card(look: "Look") -> None:
    """What is said of a task stands beside its name; it is a table still to who cannot see it."""
    with look(width=PHONE, height=844) as view:
        page = view.go("/tasks")
        assert faults(page) == ""
        row = page.get_by_role("row", name=re.compile("Biology-1 "))
        assert (row.bounding_box() or {})["height"] > 100
        label = row.get_by_role("cell").first.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert label == '"Status"'


def test_the_longest_ids_fit(look: "Look", site: "Site") -> None:
    """As long as the vendor allows, in one word, on any screen."""
    known = site.exporter.states[0]
    long = replace(known, target=replace(known.target, id=TargetId("a" * 128, "r" * 128, "t" * 128)))
    site.exporter.states = [long, *site.exporter.states]
    for width in (PHONE, 1024):
        with look(width=width) as view:
            for path in ("/tasks?q=rrr", f"/tasks/{long.target.id}"):
                assert view.go(path).evaluate("document.documentElement.scrollWidth") <= width


def test_the_dark_is_dark(look: "Look") -> None:
    """The page's own colours follow the system's."""
    colours = []
    for dark in (False, True):
        with look(dark=dark) as view:
            colour = view.go("/tasks").evaluate("getComputedStyle(document.body).backgroundColor")
            colours.append(sum(map(int, re.findall(r"\d+", colour)[:3])))
    assert colours[0] > 600
    assert colours[1] < 200


def test_what_is_wrong_first_then_by_filter_and_order(look: "Look") -> None:
    """By hand: a chip, a heading twice, a text; each is an address that can be passed on."""
    with look() as view:
        page = view.go("/tasks")
        assert rooms(page)[:2] == ["Chinese-2", "Algebra-0"]
        page.get_by_role("link", name=re.compile("with a problem")).click()
        assert len(rooms(page)) == 9
        page.get_by_role("link", name="Elapsed of limit").click()
        assert rooms(page)[0] == "Geometry-6"
        expect(page.locator("th[aria-sort=ascending]")).to_have_text("Elapsed of limit")
        page.get_by_role("link", name="Elapsed of limit").click()
        assert rooms(page)[-1] == "Geometry-6"
        page.get_by_label("Text").fill("algebra-0")
        page.get_by_role("button", name="Filter").click()
        assert rooms(page) == ["Algebra-0"]
        assert page.url.endswith("q=algebra-0&source=&status=problem&sort=-elapsed")


def test_one_task(look: "Look") -> None:
    with look() as view:
        page = view.go("/tasks")
        page.get_by_role("link", name="Biology-1 / record").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Biology-1 / record")
        expect(page.locator("#live")).to_contain_text("UnknownStopReason")


def test_live_without_reloading(look: "Look", site: "Site") -> None:
    """Changes are put in place, and a link keeps the keyboard's focus; paused, nothing moves."""
    with look() as view:
        view.page.clock.install()
        page = view.go("/tasks?sort=task")
        link = page.get_by_role("link", name="Drawing-11 / record")
        link.focus()
        site.exporter.states = [
            replace(known, task=Task(Status.FAILED)) if known.target.id.room_id == "Drawing-11" else known
            for known in site.exporter.states
        ]
        row = page.locator("tr", has_text="Drawing-11")
        expect(row.locator(".badge")).to_have_text("running")
        page.clock.run_for(6_000)
        expect(row.locator(".badge")).to_have_text("failed")
        expect(link).to_be_focused()
        expect(page.locator("#live-said")).to_contain_text("as of")
        page.get_by_role("button", name="Live").click()
        site.exporter.states = []
        page.clock.run_for(60_000)
        expect(row.locator(".badge")).to_have_text("failed")
        page.get_by_role("button", name="Paused").click()
        expect(page.locator(".empty")).to_contain_text("There is no target yet.")


def test_while_the_exporter_is_away(look: "Look") -> None:
    """The page keeps what it knew, and says so; it is live again by itself."""
    with look() as view:
        view.page.clock.install()
        page = view.go("/tasks")
        page.route("**/tasks", lambda route: route.abort())
        page.clock.run_for(6_000)
        expect(page.locator("#live-said")).to_contain_text("not reachable")
        assert rooms(page)[0] == "Chinese-2"
        page.unroute("**/tasks")
        page.clock.run_for(60_000)
        expect(page.locator("#live-said")).to_contain_text("as of")
        view.complaints = [said for said in view.complaints if "ERR_FAILED" not in said]


def test_by_keyboard_alone(look: "Look") -> None:
    """The first stop skips to the content; each stop after it can be seen, and the filter works by Enter."""
    with look() as view:
        page = view.go("/tasks")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Text")).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.type("geometry")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=geometry**")
        assert {room.split("-")[0] for room in rooms(page)} == {"Geometry"}


def test_without_scripts(look: "Look") -> None:
    """All but the refresh: no button that does nothing."""
    with look(script=False) as view:
        page = view.go("/tasks?status=failed")
        assert rooms(page) == ["Algebra-0", "Biology-1"]
        assert page.locator("#live-button").count() == 0
        page.get_by_role("link", name=re.compile("^running")).click()
        assert len(rooms(page)) == 31


def test_twenty_thousand_tasks(look: "Look", site: "Site") -> None:
    """The page is as large as its rows, and the next one is a link."""
    site.exporter.states = [*many(20_000), task_state(20_000, Task(Status.FAILED), since=5)]
    with look() as view:
        page = view.go("/tasks")
        assert rooms(page)[0] == "Algebra-20000"
        assert len(rooms(page)) == 50
        expect(page.locator("caption")).to_contain_text("20,001 of 20,001 tasks")
        page.get_by_role("link", name="Next").click()
        expect(page.locator(".pager")).to_contain_text("Page 2 of 401")


def test_times_are_in_the_readers_zone(look: "Look") -> None:
    """With its offset; in a live page too, and where there are no scripts in UTC."""
    with look(zone="Asia/Shanghai") as view:
        view.page.clock.install()
        page = view.go("/tasks/661e0000000000000000543c/Algebra-0/record")
        clock = page.locator("#live .lead time[data-clock]")
        expect(clock).to_have_text("2026-01-15 16:28:30 +08:00")
        page.clock.run_for(6_000)
        expect(clock).to_have_text("2026-01-15 16:28:30 +08:00")
    with look(script=False) as view:
        page = view.go("/tasks/661e0000000000000000543c/Algebra-0/record")
        expect(page.locator("#live .lead time[data-clock]")).to_have_text("2026-01-15 08:28:30 +00:00")


def test_in_chinese(look: "Look") -> None:
    """The browser's language chooses, and the page follows it when it refreshes itself."""
    with look(language="zh-CN") as view:
        view.page.clock.install()
        page = view.go("/tasks")
        expect(page.get_by_role("heading", level=1)).to_have_text("任务")
        expect(page.locator("html")).to_have_attribute("lang", "zh")
        page.clock.run_for(6_000)
        expect(page.locator("#live-said")).to_contain_text("更新于")
        assert faults(page) == ""
