"""Who is answered under a web config file (contract, section 3): passwords, tokens, rate and headers."""

import asyncio
import threading
from base64 import b64encode
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from exporter.config.web_config import parse_web_config
from exporter.web import auth as module
from exporter.web.auth import MAX_WAITING, Login, PasswordChecker, TooManyLogins, make_policy, read_login
from tests.support.certificates import HASH, PASSWORD
from tests.web.conftest import TOKEN

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

    def __init__(self, site: "Site", callback_site: "Site") -> None:
        self.site, self.callback_site = site, callback_site
        self.exporter = site.exporter

    def ask_for(self, text: str) -> None:
        """Put a web config file in force."""
        self.site.exporter.policy.now = self.callback_site.exporter.policy.now = make_policy(
            parse_web_config(text, Path())
        )

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
def guarded(site: "Site", callback_site: "Site") -> Guarded:
    made = Guarded(site, callback_site)
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
    assert guarded.call_back(guarded.callback_site).status_code == 200


def test_a_reload_needs_a_password(guarded: Guarded) -> None:
    """Without one nothing is reloaded."""
    assert guarded.ask("POST", "/-/reload").status_code == 401
    assert guarded.exporter.reloads == 0
    assert guarded.ask("POST", "/-/reload", auth=AUTH).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/targets"), ("PUT", "/api/v1/targets"), ("DELETE", TASK)]
)
def test_a_token_takes_the_passwords_place(guarded: Guarded, method: str, path: str) -> None:
    """A push needs a token and no password; a password is no token."""
    token = {"Authorization": f"Bearer {TOKEN}"}
    body: dict[str, Any] = {} if method == "DELETE" else {"json": [{"targets": ["a/b/c"]}]}
    assert guarded.ask(method, path, headers=token, **body).status_code == 200
    assert guarded.ask(method, path, auth=AUTH, **body).status_code == 401
    answer = guarded.ask(method, path, headers={"Authorization": "Bearer no"}, **body)
    assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")


def test_a_token_opens_nothing_else(guarded: Guarded) -> None:
    """Not even the list of targets."""
    token = {"Authorization": f"Bearer {TOKEN}"}
    for method, path in (("GET", "/api/v1/targets"), ("GET", "/metrics"), ("POST", "/-/reload"), ("PATCH", TASK)):
        assert guarded.ask(method, path, headers=token).status_code == 401
    assert guarded.ask("POST", "/api/v1/targetsx", headers=token).status_code == 401


def test_wrong_tokens_are_bounded(guarded: Guarded) -> None:
    """Many at once are sent away; who has a good one is still heard."""
    bad = {"Authorization": "Bearer no"}
    statuses = (guarded.ask("POST", "/api/v1/targets", headers=bad).status_code for _ in range(5000))
    assert next(statuses) == 401
    assert 429 in statuses
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.ask("POST", "/api/v1/targets", headers=good, json=[]).status_code == 200


def test_passwords_that_cannot_be_checked_now(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """429, to come again; the request is not let in."""

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
    """So many at once, then 429 for every user; probes and callbacks are answered at any rate."""
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
    answers = (guarded.ask("GET", "/metrics"), guarded.ask("GET", "/no"), guarded.call_back(guarded.callback_site))
    for headers in (answer.headers for answer in answers):
        assert headers["strict-transport-security"] == "max-age=1"
        assert headers.get_list("x-frame-options") == ["sameorigin"]
        assert headers["x-xss-protection"] == "0"
        assert headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" not in headers


GOOD = Login("alice", PASSWORD.encode())


class Checks:
    """In place of bcrypt's check: what was checked against what; it waits until `go` is set."""

    def __init__(self) -> None:
        self.made: list[tuple[bytes, bytes]] = []
        self.go = threading.Event()
        self.go.set()
        self._check = bcrypt.checkpw

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        """Check it, once it may be."""
        self.made.append((password, hashed))
        assert self.go.wait(20)
        return self._check(password, hashed)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    made = Checks()
    monkeypatch.setattr(bcrypt, "checkpw", made)
    return made


def passwords(**hashes: str) -> PasswordChecker:
    """Alice's, unless other names are given."""
    return PasswordChecker({name: each.encode() for name, each in (hashes or {"alice": HASH}).items()})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.mark.parametrize(
    ("header", "login"),
    [
        (b"Basic YWxpY2U6cHc=", ("alice", b"pw")),
        (b"bAsIc  YWxpY2U6cHc= ", ("alice", b"pw")),
        (b"Basic " + b64encode("ä:b:c".encode()), ("ä", b"b:c")),
        (b"Basic " + b64encode(b":"), ("", b"")),
        *((header, None) for header in (b"", b"Basic", b"Basic !", b"Bearer YWxpY2U6cHc=", b"Basic YWxpY2U=")),
        (b"Basic " + b64encode(b"\xff:x"), None),
    ],
)
def test_the_header(header: bytes, login: tuple[str, bytes] | None) -> None:
    """A name ends at the first colon; both are UTF-8. What is no such header is no login."""
    assert read_login(header.decode("latin-1")) == login


@pytest.mark.parametrize("version", ["$2a$", "$2b$", "$2y$"])
def test_a_password_fits_its_hash(version: str) -> None:
    """However the tool wrote the version; another password, or the same of another name, does not."""
    checker = passwords(alice=HASH.replace("$2b$", version))
    assert run(checker.check(GOOD))
    for login in (Login("alice", b"another"), Login("bob", GOOD.password), Login("", b""), Login("alice", b"a\0b")):
        assert not run(checker.check(login))


def test_what_was_good_is_not_checked_again(checks: Checks) -> None:
    """A scrape pays for bcrypt once; what was bad is checked each time."""
    checker = passwords()
    assert [run(checker.check(GOOD)) for _ in range(3)] == [True] * 3
    assert len(checks.made) == 1
    assert [run(checker.check(GOOD._replace(password=b"bad"))) for _ in range(2)] == [False] * 2
    assert run(checker.check(GOOD))
    assert len(checks.made) == 3


def test_what_is_remembered_is_bounded(checks: Checks) -> None:
    """One password a known name, and it is no password: guesses fill no memory."""
    checker = passwords()
    run(checker.check(GOOD))
    for number in range(20):
        run(checker.check(Login(f"stranger{number}", b"guess")))
    assert list(checker._good) == ["alice"]
    assert len(checks.made) == 21
    assert GOOD.password not in checker._good["alice"]


def test_an_unknown_name_costs_the_same(checks: Checks) -> None:
    """It is checked against a hash that is there, always the same one, so that the time does not tell who is known."""
    hashes = {f"user{number}": bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode() for number in range(3)}
    checker = passwords(**hashes)
    for password in (b"a", b"b", b"c"):
        assert not run(checker.check(Login("stranger", password)))
    against = {hashed for _, hashed in checks.made}
    assert len(checks.made) == 3
    assert len(against) == 1
    assert against <= {each.encode() for each in hashes.values()}


def test_an_unknown_name_with_the_password_of_its_decoy_is_refused() -> None:
    """That a hash fits is not enough."""
    assert not run(passwords().check(Login("stranger", GOOD.password)))


def test_a_long_password_counts_as_far_as_bcrypt_looks() -> None:
    """72 bytes, as with htpasswd and the toolkit."""
    checker = passwords(alice=bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
    assert run(checker.check(Login("alice", b"x" * 100)))
    assert not run(checker.check(Login("alice", b"x" * 71)))


async def many(checker: PasswordChecker, checks: Checks, *logins: Login) -> list[Any]:
    """What becomes of all of them at once, none of which is checked before all are there."""
    checks.go.clear()
    tasks = [asyncio.create_task(checker.check(login)) for login in logins]
    for _ in range(5):
        await asyncio.sleep(0)
    checks.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_a_hundred_with_one_password_are_one_check(checks: Checks) -> None:
    """All who come with the same wait for the same verdict."""
    assert run(many(passwords(), checks, *[GOOD] * 100)) == [True] * 100
    assert len(checks.made) == 1


def test_guesses_do_not_queue_without_end(checks: Checks) -> None:
    """So many wait, the next are told to come again; who is known is let in all the same."""
    checker = passwords()
    run(checker.check(GOOD))
    guesses = [Login("alice", str(number).encode()) for number in range(MAX_WAITING + 3)]
    outcomes = run(many(checker, checks, *guesses, GOOD))
    assert outcomes[:MAX_WAITING] == [False] * MAX_WAITING
    assert [type(outcome) for outcome in outcomes[MAX_WAITING:-1]] == [TooManyLogins] * 3
    assert outcomes[-1] is True
    assert not checker._waiting


def test_made_up_names_delay_no_known_user(checks: Checks) -> None:
    """However slow their checks are: at cost 18 one takes some ten seconds."""

    async def scene() -> tuple[bool, list[object]]:
        checker = passwords(alice=HASH, bob=HASH)
        checks.go.clear()
        strangers = [asyncio.create_task(checker.check(Login(f"made-up{n}", b"guess"))) for n in range(MAX_WAITING + 4)]
        guesses = [asyncio.create_task(checker.check(Login("bob", b"%d" % n))) for n in range(MAX_WAITING)]
        user = asyncio.create_task(checker.check(GOOD))
        while sum(hashed == HASH.encode() for _, hashed in checks.made) < 3:  # noqa: ASYNC110 - threads make them
            await asyncio.sleep(0)
        admitted = (PASSWORD.encode(), HASH.encode()) in checks.made  # beside one stranger and one of bob's
        checks.go.set()
        await user
        return admitted, await asyncio.gather(*strangers, *guesses, return_exceptions=True)

    admitted, others = run(scene())
    assert admitted
    assert sum(isinstance(other, TooManyLogins) for other in others) == 4


def test_a_client_that_leaves_ends_no_other_check(checks: Checks) -> None:
    """A client that goes away while its password is checked does not spoil the verdict for the others."""

    async def scene() -> list[Any]:
        checker = passwords()
        checks.go.clear()
        first, leaver, other = [asyncio.create_task(checker.check(GOOD)) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        leaver.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        checks.go.set()
        return [await first, await other]

    assert run(scene()) == [True, True]


def test_a_check_that_breaks_is_told_to_all_who_wait(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that made it gets the error, the others are to come again; the next is checked anew."""
    checker = passwords()
    monkeypatch.setattr(checker, "_matches", lambda _: 1 / 0)
    outcomes = run(many(checker, checks, GOOD, GOOD))
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError, TooManyLogins]
    monkeypatch.undo()
    assert run(checker.check(GOOD))


def test_no_repr_tells_anything() -> None:
    assert (repr(passwords()), repr(GOOD)) == ("PasswordChecker(1)", "Login()")
