"""`make screenshot`: draw docs/images/tasks.png from the school in the morning."""

from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from exporter.web.app import create_app
from tests.browser.conftest import FLAGS, school
from tests.real.conftest import real_part
from tests.web.conftest import serving

IMAGE = Path(__file__).parent.parent.parent / "docs" / "images" / "tasks.png"


def main() -> None:
    with serving(create_app) as serve, sync_playwright() as playwright:
        site = serve(school())
        browser = playwright.chromium.launch(executable_path=real_part("chromium"), args=FLAGS)
        page = browser.new_page(viewport=ViewportSize(width=1200, height=820), device_scale_factor=1.5)
        page.goto(f"{site.client.base_url}/tasks")
        page.screenshot(path=IMAGE)
        browser.close()


if __name__ == "__main__":
    main()
