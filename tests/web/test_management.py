import asyncio
from threading import Event
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from exporter.errors import Problem
from exporter.web.app import create_app
from tests.web.conftest import FakeExporter

if TYPE_CHECKING:
    from exporter.web.interfaces import ExporterApi
    from tests.web.conftest import Site


def test_healthy_while_the_dispatcher_moves(site: "Site") -> None:
    """200 while it moves, 503 with a sentence once it stands still."""
    assert site.get("/-/healthy").status_code == 200
    site.exporter.alive = False
    answer = site.get("/-/healthy")
    assert answer.status_code == 503
    assert "scheduler" in answer.text


def test_ready_once_nothing_is_missing(site: "Site") -> None:
    """503 says what is still missing; health has no part in it."""
    site.exporter.not_ready, site.exporter.alive = "The state is being opened.", False
    answer = site.get("/-/ready")
    assert (answer.status_code, answer.text) == (503, "The state is being opened.\n")
    site.exporter.not_ready = ""
    assert site.get("/-/ready").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_reload(site: "Site", method: str) -> None:
    """POST and PUT reload once each."""
    assert site.ask(method, "/-/reload").status_code == 200
    assert site.exporter.reloads == 1


def test_a_bad_reload_lists_all_problems(site: "Site") -> None:
    """500 with every problem on a line of its own, as `path: sentence`."""
    site.exporter.problems = (Problem("accounts[0].max_qps", "must be more than 0"), Problem("pollng", "is not known"))
    answer = site.ask("POST", "/-/reload")
    assert answer.status_code == 500
    assert answer.text.splitlines()[1:] == ["accounts[0].max_qps: must be more than 0", "pollng: is not known"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_looking_at_reload_changes_nothing(site: "Site", method: str) -> None:
    """A link that is followed or a monitor that asks with HEAD never reloads: 405, with what is allowed."""
    answer = site.ask(method, "/-/reload")
    assert answer.status_code == 405
    assert {"POST", "PUT"} <= set(answer.headers["allow"].split(", "))
    assert site.exporter.reloads == 0


def test_get_on_reload_gives_a_hint(site: "Site") -> None:
    """A person who opens it in a browser is told how it is meant."""
    assert "curl -X POST" in site.get("/-/reload").text


class SlowReload(FakeExporter):
    """A reload that takes until it may end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.begun, self.may_end = Event(), Event()

    def reload(self) -> None:
        """Wait."""
        self.reloads += 1
        self.begun.set()
        assert self.may_end.wait(60)


def test_reloads_that_wait_are_one() -> None:
    """Each asks for a file that is read after its request: one more reload serves all that came during the first."""
    exporter = SlowReload()
    app = create_app(cast("ExporterApi", exporter), exporter.failed)

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
            first = asyncio.create_task(client.post("/-/reload"))
            await asyncio.to_thread(exporter.begun.wait, 60)
            others = [asyncio.create_task(client.post("/-/reload")) for _ in range(9)]
            for _ in range(100):
                await asyncio.sleep(0)  # all of them wait now
            exporter.may_end.set()
            return [answer.status_code for answer in await asyncio.gather(first, *others)]

    assert asyncio.run(ask()) == [200] * 10
    assert exporter.reloads == 2
