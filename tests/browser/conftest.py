"""A real Chromium, and a site over a made-up exporter for it to look at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from exporter.enums import Source
from exporter.metrics.self_metrics import AccountNumbers
from exporter.web.app import create_app
from tests.browser.fleet import NOW, morning, runs_that_stopped
from tests.real.conftest import real_part
from tests.web.conftest import FakeExporter, Serve, Site, serving

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]


@dataclass
class View:
    """One page of the browser; `complaints` are what it wrote to its console, or asked of anybody else."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the site is."""
        return str(self.site.client.base_url).rstrip("/")

    def go(self, path: str) -> Page:
        """Open one of the site's pages."""
        self.page.goto(self.url + path)
        return self.page


Look = Callable[..., Any]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = real_part("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """A listener of the browser's own."""
    with serving(create_app) as serve:
        yield serve


def school() -> FakeExporter:
    """A school in the morning."""
    exporter = FakeExporter(states=morning(), flags={"--config.file": "webcast.yml"}, uptime=93_784.0)
    exporter.queries.runs = runs_that_stopped()
    exporter.queries.numbers = {"default": AccountNumbers(48.0, 48.0, 9.6, up=True, clock_skew=0.1, oldest_due=NOW - 3)}
    exporter.queries.listed = {Source.HTTP: 51, Source.PUSH: 1}
    return exporter


@pytest.fixture
def site(serve: Serve) -> Site:
    """The site of a school."""
    return serve(school())


@pytest.fixture
def look(chromium: Browser, site: Site) -> Look:
    """A fresh page while the context lasts, at a width and with a scheme; at its end it has complained of nothing."""

    @contextmanager
    def opened(
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
        zone: str = "UTC",
        language: str = "en",
    ) -> Iterator[View]:
        context = chromium.new_context(
            viewport=ViewportSize(width=width, height=height),
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            timezone_id=zone,
            locale=language,
        )
        view = View(context.new_page(), site)
        view.page.on("console", lambda said: view.complaints.append(said.text))
        view.page.on("pageerror", lambda error: view.complaints.append(str(error)))
        view.page.on("request", lambda asked: _outside(view, asked.url))
        yield view
        context.close()
        assert view.complaints == []

    return opened


def _outside(view: View, url: str) -> None:
    if not url.startswith(f"{view.url}/"):
        view.complaints.append(f"asked for {url}")
