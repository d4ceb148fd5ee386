import asyncio
import threading
from base64 import b64encode
from collections.abc import Coroutine
from typing import Any

import bcrypt
import pytest

from exporter.web.auth import MAX_WAITING, Login, PasswordChecker, TooManyLogins, read_login
from tests.support.certificates import HASH, PASSWORD

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
    """Every use of bcrypt."""
    made = Checks()
    monkeypatch.setattr(bcrypt, "checkpw", made)
    return made


def passwords(**hashes: str) -> PasswordChecker:
    """Alice's, unless other names are given."""
    return PasswordChecker({name: each.encode() for name, each in (hashes or {"alice": HASH}).items()})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """To its end."""
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
    """A name ends at the first colon; both are UTF-8. What is no such header is nobody."""
    assert read_login(header.decode("latin-1")) == login


@pytest.mark.parametrize("version", ["$2a$", "$2b$", "$2y$"])
def test_a_password_fits_its_hash(version: str) -> None:
    """However the tool wrote the version; another password, or the same of another name, does not."""
    known = passwords(alice=HASH.replace("$2b$", version))
    assert run(known.check(GOOD))
    for login in (Login("alice", b"another"), Login("bob", GOOD.password), Login("", b""), Login("alice", b"a\0b")):
        assert not run(known.check(login))


def test_what_was_good_is_not_checked_again(checks: Checks) -> None:
    """A scrape pays for bcrypt once; what was bad is checked each time."""
    known = passwords()
    assert [run(known.check(GOOD)) for _ in range(3)] == [True] * 3
    assert len(checks.made) == 1
    assert [run(known.check(GOOD._replace(password=b"bad"))) for _ in range(2)] == [False] * 2
    assert run(known.check(GOOD))
    assert len(checks.made) == 3


def test_what_is_remembered_is_bounded(checks: Checks) -> None:
    """One password a known name, and it is no password: guesses fill no memory."""
    known = passwords()
    run(known.check(GOOD))
    for number in range(20):
        run(known.check(Login(f"nobody{number}", b"guess")))
    assert list(known._good) == ["alice"]
    assert len(checks.made) == 21
    assert GOOD.password not in known._good["alice"]


def test_an_unknown_name_costs_the_same(checks: Checks) -> None:
    """It is checked against a hash that is there, always the same one, so that the time does not tell who is known."""
    hashes = {f"user{number}": bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode() for number in range(3)}
    known = passwords(**hashes)
    for password in (b"a", b"b", b"c"):
        assert not run(known.check(Login("nobody", password)))
    against = {hashed for _, hashed in checks.made}
    assert len(checks.made) == 3
    assert len(against) == 1
    assert against <= {each.encode() for each in hashes.values()}


def test_an_unknown_name_with_the_password_of_its_decoy_is_refused() -> None:
    """That a hash fits is not enough."""
    assert not run(passwords().check(Login("nobody", GOOD.password)))


def test_a_long_password_counts_as_far_as_bcrypt_looks() -> None:
    """72 bytes, as with htpasswd and the toolkit."""
    known = passwords(alice=bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
    assert run(known.check(Login("alice", b"x" * 100)))
    assert not run(known.check(Login("alice", b"x" * 71)))


async def many(known: PasswordChecker, checks: Checks, *logins: Login) -> list[Any]:
    """What becomes of all of them at once, none of which is checked before all are there."""
    checks.go.clear()
    tasks = [asyncio.create_task(known.check(login)) for login in logins]
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
    known = passwords()
    run(known.check(GOOD))
    guesses = [Login("alice", str(number).encode()) for number in range(MAX_WAITING + 3)]
    outcomes = run(many(known, checks, *guesses, GOOD))
    assert outcomes[:MAX_WAITING] == [False] * MAX_WAITING
    assert [type(outcome) for outcome in outcomes[MAX_WAITING:-1]] == [TooManyLogins] * 3
    assert outcomes[-1] is True
    assert not known._waiting


def test_made_up_names_delay_no_known_user(checks: Checks) -> None:
    """However slow their checks are: at cost 18 one takes some ten seconds."""

    async def scene() -> tuple[bool, list[object]]:
        known = passwords(alice=HASH, bob=HASH)
        checks.go.clear()
        strangers = [asyncio.create_task(known.check(Login(f"made-up{n}", b"guess"))) for n in range(MAX_WAITING + 4)]
        guesses = [asyncio.create_task(known.check(Login("bob", b"%d" % n))) for n in range(MAX_WAITING)]
        user = asyncio.create_task(known.check(GOOD))
        while sum(hashed == HASH.encode() for _, hashed in checks.made) < 3:  # noqa: ASYNC110 - threads make them
            await asyncio.sleep(0)
        admitted = (PASSWORD.encode(), HASH.encode()) in checks.made  # beside one stranger and one of bob's
        checks.go.set()
        await user
        return admitted, await asyncio.gather(*strangers, *guesses, return_exceptions=True)

    admitted, others = run(scene())
    assert admitted
    assert sum(isinstance(other, TooManyLogins) for other in others) == 4


def test_one_who_leaves_takes_nobody_along(checks: Checks) -> None:
    """A client that goes away while its password is checked does not spoil the verdict for the others."""

    async def scene() -> list[Any]:
        known = passwords()
        checks.go.clear()
        first, leaver, other = [asyncio.create_task(known.check(GOOD)) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        leaver.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        checks.go.set()
        return [await first, await other]

    assert run(scene()) == [True, True]


def test_a_check_that_breaks_is_told_to_all_who_wait(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it meets the error, the others are to come again; the next is checked anew."""
    known = passwords()
    monkeypatch.setattr(known, "_matches", lambda _: 1 / 0)
    outcomes = run(many(known, checks, GOOD, GOOD))
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError, TooManyLogins]
    monkeypatch.undo()
    assert run(known.check(GOOD))


def test_no_repr_tells_anything() -> None:
    """Neither a name nor a password nor a hash."""
    assert (repr(passwords()), repr(GOOD)) == ("PasswordChecker(1)", "Login()")
