"""The exporter's errors. One that a user can cause says in its message what is wrong and what to do.

A ReadError holds the vendor's Code and RequestId. It never holds the Message (which may repeat the request), a URL
or a credential.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from exporter.enums import ReadFailure


class WebcastExporterError(Exception):
    """Base class of the exporter's errors."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration: where (`accounts[0].max_qps`) and what, as a sentence."""

    path: str
    sentence: str

    def __str__(self) -> str:
        """`path: sentence`, or the sentence alone when it belongs to the whole file."""
        return f"{self.path}: {self.sentence}" if self.path else self.sentence


class ProblemsError(WebcastExporterError):
    """A document that cannot be used; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class ConfigError(ProblemsError):
    """A bad configuration: exit code 2."""


class BadTargets(ProblemsError):
    """A pushed list of targets, refused whole: HTTP 400."""


class StartError(WebcastExporterError):
    """The configuration is good, but a port, a file or the state cannot be had: exit code 1; the message says which."""


class StateError(WebcastExporterError):
    """The state cannot be read or written now (HTTP 503); nothing was changed, and it may be asked again."""


class Fault(StrEnum):
    """What a failed read affects; polling slows down accordingly (docs/behaviour.md)."""

    API = "api"
    ACCOUNT = "account"
    APP = "app"
    TARGET = "target"


CLOCK_CODE: Final = "InvalidTimestamp"
"""The vendor's code for a request whose time is over 15 minutes from its own."""


class ReadError(WebcastExporterError):
    """A call for one task without a usable answer.

    `code` and `request_id` are the vendor's, empty when the answer has none; `http_status` is 0 without an answer.
    `advice` is what to do next, empty when the sentence says it.
    """

    failure: ClassVar[ReadFailure]
    fault: ClassVar[Fault]
    advice: str = ""

    def __init__(self, what: str, *, code: str = "", request_id: str = "", http_status: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.request_id = request_id
        self.http_status = http_status

    @property
    def sentence(self) -> str:
        """What went wrong, then code, HTTP status and RequestId."""
        facts = {"code": self.code, "http": self.http_status or "", "request_id": self.request_id}
        shown = " ".join(f"{name}={value}" for name, value in facts.items() if value)
        return f"{self.what} ({shown})" if shown else self.what

    def __str__(self) -> str:
        """The sentence, then what to do."""
        return f"{self.sentence}; {self.advice}" if self.advice else self.sentence


class NoAnswer(ReadError):
    """Nothing was answered; this affects every target of the account."""

    fault = Fault.API


class TimedOut(NoAnswer):
    """No whole answer within `accounts[].timeout`."""

    failure = ReadFailure.TIMEOUT


class Unreachable(NoAnswer):
    """Name resolution, connection or proxy failed, or the connection broke."""

    failure = ReadFailure.CONNECT


class TlsFailed(NoAnswer):
    """No trusted TLS connection."""

    failure = ReadFailure.TLS


class Throttled(ReadError):
    """Too many calls; `retry_after` in seconds when the answer named a time to come back."""

    failure = ReadFailure.THROTTLED
    fault = Fault.API
    retry_after: float | None = None


class CredentialsRefused(ReadError):
    """Key, signature, token, clock or policy is refused: nothing of this account can be read."""

    failure = ReadFailure.AUTH
    fault = Fault.ACCOUNT


class AppRefused(ReadError):
    """The account may not read this app, or the app cannot be read at all."""

    failure = ReadFailure.AUTH
    fault = Fault.APP


class NotFound(ReadError):
    """The API knows no such task, or it started more than 72 hours ago. An answer, not an API failure."""

    advice = "it must have started within 72 hours, and the order is app, room, task"
    failure = ReadFailure.NOT_FOUND
    fault = Fault.TARGET


class Rejected(ReadError):
    """The API will never answer this request as it is: a bad parameter, a redirect."""

    failure = ReadFailure.REJECTED
    fault = Fault.TARGET


class ServerFailed(ReadError):
    """The API failed inside."""

    failure = ReadFailure.SERVER
    fault = Fault.API


class Unreadable(ReadError):
    """The API answered something that is no reply to GetWebCastTask."""

    fault = Fault.TARGET


class NotJson(Unreadable):
    """No JSON, cut JSON, or more bytes than a reply can have."""

    failure = ReadFailure.DECODE


class BadSchema(Unreadable):
    """JSON, but not the reply's shape; without a usable Status there is nothing to show.

    `unexpected` names the reply's fields that were missing or not what the vendor documents.
    """

    failure = ReadFailure.SCHEMA
    unexpected: tuple[str, ...] = ()


def lacks_thread(error: BaseException) -> bool:
    """Whether no thread could be started, or that was so before it; CPython has no class of its own for it."""
    before = error.__context__
    return "start new thread" in str(error) or (before is not None and lacks_thread(before))
