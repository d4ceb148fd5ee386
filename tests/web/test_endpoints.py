"""Machine endpoints: probes, reload, request bodies, answers in pieces, and redirects."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from threading import Event
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from exporter.errors import Problem
from exporter.web.app import create_app
from exporter.web.endpoints import TURNS, BodyError, ChunkedResponse, Turns, chunks, compress, decompress, read_body
from exporter.web.server import Listener, bind
from tests.support import web_client
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


def test_without_a_thread_it_says_so_once(
    site: "Site", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Scrapes and pages are 503, and it is not healthy until a thread can be started again."""

    async def run_sync(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("can't start new thread")

    for _ in range(2):
        caplog.clear()
        with monkeypatch.context() as patch:
            patch.setattr("anyio.to_thread.run_sync", run_sync)
            paths = ["/metrics", "/tasks", "/-/healthy"]
            assert [site.get(path).status_code for path in paths] == [503] * 3
            assert site.get("/-/ready").status_code == 200
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert errors == ["no thread for requests path=/metrics"]
        assert site.get("/-/healthy").status_code == 200


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


END: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def sent(*messages: Message, headers: Sequence[tuple[bytes, bytes]] = ()) -> Request:
    """A request whose body comes in these pieces; after the last one nothing comes any more."""
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": list(headers)}, receive)


def read(request: Request, limit: int = 10, timeout: float = 5.0) -> bytes:
    return asyncio.run(read_body(request, limit, timeout))


def test_a_body_in_pieces() -> None:
    assert read(sent(part(b"12345"), part(b"67890", more=False))) == b"1234567890"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (sent(part(b"12345678901")), 413),
        (sent(headers=[(b"content-length", b"11")]), 413),
        (sent(part(b"123"), END), 400),
    ],
    ids=["too long", "said to be too long", "breaks off"],
)
def test_a_body_that_cannot_be_had(request_: Request, status: int) -> None:
    """Without waiting for the rest."""
    with pytest.raises(BodyError) as raised:
        read(request_)
    assert raised.value.status == status


def test_a_body_that_does_not_come() -> None:
    """A client that trickles is answered 408."""
    with pytest.raises(BodyError) as raised:
        read(sent(part(b"1")), timeout=0.01)
    assert raised.value.status == 408


PIECES = [b"# HELP x\n", b"", b"x 1\n" * 100_000, b"y 2\n"]


@given(st.lists(st.binary(max_size=60)), st.integers(1, 20))
def test_batches_hold_the_same_bytes(pieces: list[bytes], size: int) -> None:
    """All of them in their order; each chunk but the last has the size, and none twice as much."""
    found = list(chunks(pieces, size))
    assert b"".join(found) == b"".join(pieces)
    assert all(size <= len(chunk) < 2 * size for chunk in found[:-1])


def answer(_: Request) -> Response:
    text = compress(PIECES)
    return ChunkedResponse(decompress(text.parts), text.length, {"Content-Type": "text/plain"}, Turns())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_in_pieces_has_its_length(method: str) -> None:
    """Told before the first piece, for HEAD too, and no chunked encoding."""
    listener = Listener(Starlette(routes=[Route("/", answer)]), bind("127.0.0.1:0"), lambda *_: None)
    listener.start()
    reply = web_client.request(method, listener.url)
    listener.stop()
    whole = b"".join(PIECES)
    assert (reply.status_code, reply.headers["content-length"]) == (200, str(len(whole)))
    assert "transfer-encoding" not in reply.headers
    assert reply.content == (whole if method == "GET" else b"")


def test_one_pass_of_the_loop_writes_a_few_chunks() -> None:
    """However many answers are sent at once, whatever else the loop has to do waits for those few alone."""

    async def most_in_a_pass() -> int:
        turns, written = Turns(), 0

        async def send(message: Message) -> None:
            nonlocal written
            written += bool(message.get("body"))

        answers = [ChunkedResponse([b"x", b"y", b"z"], 3, {}, turns) for _ in range(50)]
        sending = [asyncio.create_task(each({}, receive, send)) for each in answers]
        most = 0
        while not all(task.done() for task in sending):
            before = written
            await asyncio.sleep(0)
            most = max(most, written - before)
        assert written == 150
        return most

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    assert asyncio.run(most_in_a_pass()) == TURNS


def test_nothing_is_made_for_clients_that_left() -> None:
    """The server takes what is sent to them: hundreds that leave at once would delay all others by a whole answer."""
    made = 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for made in range(1, 10_000):  # noqa: B007
            yield b"x"

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        pass

    asyncio.run(ChunkedResponse(pieces(), 9_999, {}, Turns())({}, receive, send))
    assert made < 5
