"""`POST /callback`: what the vendor is answered, and what others are."""

from typing import TYPE_CHECKING

import pytest

from exporter.config.schema import Config
from exporter.enums import CallbackOutcome, Source
from exporter.errors import StartError, StateError
from exporter.web.auth import TokenBucket
from exporter.web.endpoints import MAX_CALLBACK_BYTES

if TYPE_CHECKING:
    from tests.web.conftest import Site


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (CallbackOutcome.ACCEPTED, 200),
        (CallbackOutcome.DUPLICATE, 200),
        (CallbackOutcome.STALE, 200),
        (CallbackOutcome.IGNORED, 200),
        (CallbackOutcome.BAD_SIGNATURE, 401),
        (CallbackOutcome.MALFORMED, 400),
    ],
)
def test_each_outcome_has_its_answer(site: "Site", outcome: CallbackOutcome, status: int) -> None:
    """What need not come again is 200; the body is handed on byte for byte, whatever its type is said to be."""
    site.exporter.callbacks.outcome = outcome
    answer = site.client.post("/callback", content=b'{"EventType": "\xe8\xaf\xbe"}')
    assert (answer.status_code, answer.text) == (status, f"{outcome}\n")
    assert site.exporter.callbacks.bodies == [b'{"EventType": "\xe8\xaf\xbe"}']


@pytest.mark.parametrize("error", [StateError("locked"), StartError("unreadable")])
def test_what_cannot_be_kept_is_to_be_sent_again(site: "Site", error: Exception) -> None:
    """503, and no word of what is wrong."""
    site.exporter.callbacks.breaks = error
    answer = site.client.post("/callback", content=b"{}")
    assert answer.status_code == 503
    assert str(error) not in answer.text


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_64_kib_is_not_read_to_its_end(site: "Site", chunked: bool) -> None:
    """413, whether its length is told or not; 64 KiB are taken."""
    body = b"x" * (MAX_CALLBACK_BYTES + 1)
    answer = site.client.post("/callback", content=iter([body]) if chunked else body)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert site.client.post("/callback", content=body[1:]).status_code == 200
    assert [len(taken) for taken in site.exporter.callbacks.bodies] == [MAX_CALLBACK_BYTES]


def test_without_a_secret_there_is_nothing_here(site: "Site") -> None:
    """404, with a sentence that names the key."""
    del site.exporter.secrets[Source.CALLBACK]
    answer = site.client.post("/callback", content=b"{}")
    assert (answer.status_code, "callbacks.secret_file" in answer.text) == (404, True)
    assert site.exporter.callbacks.bodies == []


def test_a_listener_of_its_own_takes_them_alone(site: "Site", callback_site: "Site") -> None:
    """The main listener answers 404 then; the other one knows no other path."""
    own = Config.model_validate({"callbacks": {"listen_address": "127.0.0.1:19470"}})
    site.exporter.config = callback_site.exporter.config = own
    assert site.client.post("/callback", content=b"{}").status_code == 404
    assert callback_site.client.post("/callback", content=b"{}").status_code == 200
    paths = ("/", "/metrics", "/status", "/-/healthy", "/-/reload", "/api/v1/targets", "/static/style.css")
    assert {path: callback_site.get(path).status_code for path in paths} == dict.fromkeys(paths, 404)


def test_only_post_is_a_callback(site: "Site") -> None:
    """A GET is told which method to use."""
    answers = [site.ask(method, "/callback") for method in ("GET", "HEAD", "PUT", "DELETE")]
    assert {(answer.status_code, answer.headers["allow"]) for answer in answers} == {(405, "POST")}


def test_many_unsigned_callbacks_are_answered_429(site: "Site") -> None:
    """429 once a burst is used up, on a connection that ends; who signs is answered all the same."""
    site.exporter.callbacks.outcome = CallbackOutcome.BAD_SIGNATURE
    answers = [site.client.post("/callback", content=b"{}") for _ in range(150)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert {answer.headers.get("connection") for answer in answers if answer.status_code == 429} == {"close"}
    site.exporter.callbacks.outcome = CallbackOutcome.ACCEPTED
    assert {site.client.post("/callback", content=b"{}").status_code for _ in range(150)} == {200}


def test_an_allowance_comes_back_with_time() -> None:
    """So many at once, so many a second after that, and never more than the burst."""
    now = [0.0]
    allowance = TokenBucket(2.0, 3.0, lambda: now[0])

    def admitted() -> int:
        return sum(allowance.try_acquire() for _ in range(10))

    assert [admitted(), admitted()] == [3, 0]
    now[0] = 1.0
    assert admitted() == 2
    now[0] = 100.0
    assert admitted() == 3


def test_an_unexpected_error_is_a_bare_500(site: "Site") -> None:
    """An unexpected error is told to the log, not to the caller."""
    site.exporter.callbacks.breaks = RuntimeError("canary")
    answer = site.client.post("/callback", content=b"{}")
    assert (answer.status_code, "canary" in answer.text) == (500, False)
    assert [what for what, _ in site.exporter.failures] == ["POST /callback"]
