"""Who is answered under a web config file (contract, section 3)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config.web_config import parse_web_config
from exporter.web import auth as module
from exporter.web.auth import TooManyLogins, make_policy
from tests.support.certificates import HASH, PASSWORD

if TYPE_CHECKING:
    import httpx

    from tests.web.conftest import Site

USERS = f"basic_auth_users: {{alice: {HASH}}}"
AUTH = ("alice", PASSWORD)
CLOSED = (
    "/",
    "/metrics",
    "/status",
    "/dashboards/",
    "/api/v1/targets",
    "/static/style.css",
    "/favicon.ico",
    "/nothing",
)
ALSO_CLOSED = ("/-/healthy/", "/-/reload", "/-", "/callback/x", "/-/ready/../healthy/x", "/-/%68ealthyx")
TASK = "/api/v1/targets/app/room/task"


class Guarded:
    """A site under a web config file that a test may change, and the listener for callbacks beside it."""

    def __init__(self, site: "Site", door: "Site") -> None:
        self.site, self.door = site, door
        self.exporter = site.exporter

    def ask_for(self, text: str) -> None:
        """Put a web config file in force."""
        self.site.exporter.policy = self.door.exporter.policy = make_policy(parse_web_config(text, Path()))

    def ask(self, method: str, path: str, **more: Any) -> "httpx.Response":
        """One request at the main listener."""
        return self.site.client.request(method, path, **more)

    def status(self, path: str, **more: Any) -> int:
        """What a GET is answered with."""
        return self.ask("GET", path, **more).status_code

    def call_back(self, site: "Site") -> "httpx.Response":
        """A callback at one of them."""
        return site.client.post("/callback", content=b"{}")


@pytest.fixture
def guarded(site: "Site", door: "Site") -> Guarded:
    """A site that asks for Alice's password."""
    made = Guarded(site, door)
    made.ask_for(USERS)
    return made


@pytest.mark.parametrize("path", [*CLOSED, *ALSO_CLOSED])
def test_a_password_is_asked_for(guarded: Guarded, path: str) -> None:
    """Of everybody, for every path, whether there is something or not, and however it is spelled."""
    answer = guarded.ask("GET", path)
    assert (answer.status_code, answer.text) == (401, "Unauthorized\n")
    assert answer.headers["www-authenticate"] == 'Basic realm="webcast-exporter", charset="UTF-8"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert guarded.status(path, auth=("alice", "wrong")) == 401
    assert guarded.status(path, auth=AUTH) != 401


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_probes_need_no_password(guarded: Guarded, path: str) -> None:
    """Nor does a wrong one harm them."""
    assert guarded.status(path) == 200
    assert guarded.status(path, auth=("alice", "wrong")) == 200


def test_a_callback_needs_no_password(guarded: Guarded) -> None:
    """The vendor signs it."""
    assert guarded.call_back(guarded.site).status_code == 200
    assert guarded.call_back(guarded.door).status_code == 200


def test_a_reload_needs_a_password(guarded: Guarded) -> None:
    """It is done for nobody else."""
    assert guarded.ask("POST", "/-/reload").status_code == 401
    assert guarded.exporter.reloads == 0
    assert guarded.ask("POST", "/-/reload", auth=AUTH).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/targets"), ("PUT", "/api/v1/targets"), ("DELETE", TASK)]
)
def test_a_token_takes_the_passwords_place(guarded: Guarded, method: str, path: str) -> None:
    """Whoever pushes needs a token and no password; a password is no token."""
    token = {"Authorization": f"Bearer {guarded.exporter.push.token}"}
    body: dict[str, Any] = {} if method == "DELETE" else {"json": [{"targets": ["a/b/c"]}]}
    assert guarded.ask(method, path, headers=token, **body).status_code == 200
    assert guarded.ask(method, path, auth=AUTH, **body).status_code == 401
    answer = guarded.ask(method, path, headers={"Authorization": "Bearer no"}, **body)
    assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")


def test_a_token_opens_nothing_else(guarded: Guarded) -> None:
    """Not even the list of targets."""
    token = {"Authorization": f"Bearer {guarded.exporter.push.token}"}
    for method, path in (("GET", "/api/v1/targets"), ("GET", "/metrics"), ("POST", "/-/reload"), ("PATCH", TASK)):
        assert guarded.ask(method, path, headers=token).status_code == 401
    assert guarded.ask("POST", "/api/v1/targetsx", headers=token).status_code == 401


def test_wrong_tokens_are_bounded(guarded: Guarded) -> None:
    """Many at once are sent away; who has a good one is still heard."""
    bad = [
        guarded.ask("POST", "/api/v1/targets", headers={"Authorization": "Bearer no"}).status_code for _ in range(110)
    ]
    assert (bad[0], bad[-1]) == (401, 429)
    good = {"Authorization": f"Bearer {guarded.exporter.push.token}"}
    assert guarded.ask("POST", "/api/v1/targets", headers=good, json=[]).status_code == 200


def test_passwords_that_cannot_be_checked_now(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """429, to come again; nobody is let in for it."""

    async def busy(*_: object) -> bool:
        raise TooManyLogins

    monkeypatch.setattr(module.PasswordChecker, "check", busy)
    answer = guarded.ask("GET", "/metrics", auth=AUTH)
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (429, "Too Many Requests\n", "1")


def test_the_policy_is_asked_at_each_request(guarded: Guarded) -> None:
    """A change is in force at once, for connections that are open too."""
    assert guarded.status("/") == 401
    guarded.ask_for("")
    assert guarded.status("/") == 200


def test_the_rate(guarded: Guarded) -> None:
    """So many at once, then 429, whoever asks; probes and callbacks are answered at any rate."""
    guarded.ask_for("rate_limit: {interval: 1h, burst: 3}")
    assert [guarded.status("/metrics") for _ in range(4)] == [200, 200, 200, 429]
    assert guarded.status("/-/healthy") == 200
    assert guarded.call_back(guarded.site).status_code == 200
    guarded.ask_for("rate_limit: {interval: 0, burst: 0}")
    assert guarded.status("/metrics") == 200


def test_headers_of_the_file(guarded: Guarded) -> None:
    """They are added, go before the exporter's own, and a blank one is not sent; on every answer and listener."""
    guarded.ask_for(
        "http_server_config: {headers: {Strict-Transport-Security: max-age=1, X-Frame-Options: sameorigin, "
        'Content-Security-Policy: "", X-XSS-Protection: "0"}}'
    )
    answers = (guarded.ask("GET", "/metrics"), guarded.ask("GET", "/no"), guarded.call_back(guarded.door))
    for headers in (answer.headers for answer in answers):
        assert headers["strict-transport-security"] == "max-age=1"
        assert headers.get_list("x-frame-options") == ["sameorigin"]
        assert headers["x-xss-protection"] == "0"
        assert headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" not in headers
