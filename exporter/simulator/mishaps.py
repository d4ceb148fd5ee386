"""What each fault makes of the reply to a call that is in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate

from exporter.simulator import distortions, replies
from exporter.simulator.distortions import CANARY, PAGE
from exporter.simulator.modes import AT_THE_DOOR, FaultMode
from exporter.simulator.operations import ALL_ZERO
from exporter.simulator.replies import Metadata, Outcome, Reply, Style, VendorError, delayed, failure, success
from exporter.simulator.sending import Sending

SERVER_ERRORS = 500
PLAIN_TEXT = "text/plain"
ELSEWHERE = "/elsewhere"


@dataclass(frozen=True, slots=True)
class Incident:
    """A call in order, as it meets a fault: the reply it would have had, and what another one is made of.

    `at` is when it arrived (Unix seconds); `latency` and `retry_after` are seconds.
    """

    reply: Reply
    metadata: Metadata
    style: Style
    at: float
    latency: float
    retry_after: int

    @property
    def task_key(self) -> str:
        """The key of the task in a result."""
        return self.style.task_key


Fault = Callable[[Incident], Reply]


def _none(incident: Incident) -> Reply:
    return incident.reply


def _throttle(incident: Incident) -> Reply:
    return failure(incident.metadata, replies.over_qps(incident.style), f"The request exceeds the limit. {CANARY}")


def _throttled_plainly(incident: Incident, retry_after: str) -> Reply:
    return replace(_plain(429)(incident), outcome=Outcome.THROTTLED, headers=(("Retry-After", retry_after),))


def _refusal(error: VendorError) -> Fault:
    return lambda incident: failure(incident.metadata, error, f"Refused: {CANARY}")


def _plain(status: int, *headers: tuple[str, str]) -> Fault:
    """An answer of what stands before the vendor's gateway."""
    outcome = Outcome.FAILED if status >= SERVER_ERRORS else Outcome.REFUSED
    body = f"{status} {CANARY}\n".encode()
    return lambda _: Reply(status, None, outcome, headers, body=body, content_type=PLAIN_TEXT)


def _answering(result: Callable[[Incident], object]) -> Fault:
    return lambda incident: success(incident.metadata, result(incident))


def _document(change: Callable[[object], object]) -> Fault:
    """Another document; that the vendor has answered is true all the same."""
    return lambda incident: replace(incident.reply, document=change(incident.reply.document))


def _body(make: Callable[[object], bytes], content_type: str = "application/json") -> Fault:
    def fault(incident: Incident) -> Reply:
        body = make(incident.reply.document)
        return replace(incident.reply, outcome=Outcome.FAILED, body=body, content_type=content_type)

    return fault


def _sent(sending: Sending) -> Fault:
    return lambda incident: replace(incident.reply, outcome=Outcome.FAILED, sending=sending)


FAULTS: Mapping[FaultMode, Fault] = {
    FaultMode.NONE: _none,
    FaultMode.LATENCY: lambda incident: delayed(incident.reply, incident.latency),
    FaultMode.THROTTLE: _throttle,
    FaultMode.THROTTLE_SECONDS: lambda incident: _throttled_plainly(incident, str(incident.retry_after)),
    FaultMode.THROTTLE_DATE: lambda incident: _throttled_plainly(
        incident, formatdate(incident.at + incident.retry_after, usegmt=True)
    ),
    FaultMode.SERVER_ERROR: _refusal(replies.INTERNAL_ERROR),
    FaultMode.INVALID_ACCESS_KEY: _refusal(replies.INVALID_ACCESS_KEY),
    FaultMode.INVALID_SIGNATURE: _refusal(replies.SIGNATURE_MISMATCH),
    FaultMode.INVALID_AUTHORIZATION: _refusal(replies.INVALID_AUTHORIZATION),
    FaultMode.INVALID_CREDENTIAL: _refusal(replies.INVALID_CREDENTIAL),
    FaultMode.NO_SIGNATURE: _refusal(replies.MISSING_TOKEN),
    FaultMode.EXPIRED_TOKEN: _refusal(replies.INVALID_SECRET_TOKEN),
    FaultMode.LACK_POLICY: _refusal(replies.LACK_POLICY),
    FaultMode.CLOCK: _none,  # the check of the signature's time says it
    FaultMode.APP_DENIED: _refusal(replies.NO_PERMISSION_FOR_APP),
    FaultMode.APP_OF_ANOTHER_PROJECT: _refusal(replies.LACK_PROJECT_POLICY),
    FaultMode.APP_OF_ANOTHER_ACCOUNT: _refusal(replies.WRONG_OWNER),
    FaultMode.APP_UNKNOWN: _refusal(replies.UNKNOWN_APP),
    FaultMode.NOT_FOUND_ERROR: _refusal(replies.TASK_NOT_FOUND),
    FaultMode.NOT_FOUND_NULL: _answering(lambda _: None),
    FaultMode.NOT_FOUND_EMPTY: _answering(lambda incident: {incident.task_key: {}}),
    FaultMode.NOT_FOUND_ZERO: _answering(lambda incident: {incident.task_key: ALL_ZERO}),
    FaultMode.HTTP_400: _plain(400),
    FaultMode.HTTP_403: _plain(403),
    FaultMode.HTTP_404: _plain(404),
    FaultMode.HTTP_500: _plain(500),
    FaultMode.HTTP_502: _plain(502),
    FaultMode.HTTP_503: _plain(503, ("Retry-After", "1")),
    FaultMode.REDIRECT: _plain(302, ("Location", ELSEWHERE)),
    FaultMode.HTML: _body(lambda _: PAGE, "text/html"),
    FaultMode.EMPTY: _body(lambda _: b""),
    FaultMode.CUT_JSON: _body(distortions.cut),
    FaultMode.LIST: _document(lambda document: [document]),
    FaultMode.STRANGE_JSON: _document(lambda _: {"status": "ok", "message": CANARY}),
    FaultMode.WRONG_TYPES: _document(distortions.wrong_types),
    FaultMode.ODD_FIELDS: _document(distortions.odd_fields),
    FaultMode.NUMBERS_AS_TEXT: _document(distortions.numbers_as_text),
    FaultMode.HUGE: _body(distortions.huge),
    FaultMode.STALL: _sent(Sending.NEVER),
    FaultMode.TRICKLE: _sent(Sending.DRIPPING),
    FaultMode.CLOSE: _sent(Sending.CLOSED),
    FaultMode.RESET: _sent(Sending.RESET),
    FaultMode.RESET_HALFWAY: _sent(Sending.RESET_HALFWAY),
    **dict.fromkeys(AT_THE_DOOR, _none),
}
"""The modes of the door leave alone whom they let through."""
