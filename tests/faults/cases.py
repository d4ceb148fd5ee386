"""The table of faults: what goes wrong, and all that the exporter is to show and say of it."""

from dataclasses import dataclass
from enum import Enum

from exporter.simulator.faults import FaultMode
from tests.faults.proxy import ProxyMode


class Told(Enum):
    """How the log tells of a fault: the event of its beginning, and that of its end."""

    OF_CALLS = ("circuit open", "circuit closed", "of calls")
    OF_AN_APP = ("circuit open", "circuit closed", "of an app")
    OF_THE_RATE = ("API throttles calls", "API throttles calls no more", "")
    OF_TARGETS = ("answer not usable", "answers usable again", "")
    NOT = ("", "", "")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault, met by an account of that name.

    `reason` is the read error's, empty when reads succeed all the same. `words` are in the line that tells of it.
    `up` is webcast_api_up while it lasts, `display_status` how its tasks count in webcast_tasks once nothing is fresh.
    The fault is a mode of the vendor's (`latency`, `ahead`: as Faults has them), or the mode of a proxy before it.
    An account whose calls are throttled has few tasks: at one call a second their states stay fresh for long.
    """

    name: str
    mode: FaultMode = FaultMode.NONE
    proxy: ProxyMode = ProxyMode.PASS
    reason: str
    told: Told
    words: str = ""
    up: bool = False
    display_status: str = "stale"
    behind_proxy: bool = False
    tls: bool = False
    latency: float = 2.5
    ahead: float = 3600.0

    @property
    def tasks(self) -> int:
        """How many tasks each of its apps has."""
        return 2 if self.told is Told.OF_THE_RATE else 4

    @property
    def app(self) -> str:
        """The app whose calls meet it."""
        return f"app-{self.name}"

    @property
    def other_app(self) -> str:
        """An app of the same account that the fault spares if it is an app's; empty if there is none."""
        return f"other-{self.name}" if self.told is Told.OF_AN_APP else ""


def _way(mode: FaultMode, reason: str, words: str, *, tls: bool = False) -> Case:
    return Case(name=mode.value, mode=mode, reason=reason, told=Told.OF_CALLS, words=words, tls=tls)


def _proxy(name: str, mode: ProxyMode, words: str, *, tls: bool = True) -> Case:
    told = Told.OF_CALLS
    return Case(name=name, proxy=mode, reason="connect", told=told, words=words, behind_proxy=True, tls=tls)


def _key(mode: FaultMode, words: str) -> Case:
    return Case(name=mode.value, mode=mode, reason="auth", told=Told.OF_CALLS, words=words)


def _app(mode: FaultMode, words: str) -> Case:
    return Case(name=mode.value, mode=mode, reason="auth", told=Told.OF_AN_APP, words=words, up=True)


def _rate(mode: FaultMode, words: str) -> Case:
    return Case(name=mode.value, mode=mode, reason="throttled", told=Told.OF_THE_RATE, words=words)


def _answer(mode: FaultMode, reason: str, words: str) -> Case:
    return Case(name=mode.value, mode=mode, reason=reason, told=Told.OF_TARGETS, words=words)


def _not_found(mode: FaultMode) -> Case:
    return Case(name=mode.value, mode=mode, reason="not_found", told=Told.NOT, up=True, display_status="not_found")


def _harmless(mode: FaultMode, name: str = "", *, latency: float = 0.0, ahead: float = 0.0) -> Case:
    told, display_status = Told.NOT, "running"
    return Case(
        name=name or mode.value,
        mode=mode,
        reason="",
        told=told,
        up=True,
        display_status=display_status,
        latency=latency,
        ahead=ahead,
    )


CASES = (
    _way(FaultMode.CONNECTION_REFUSED, "connect", "connection refused"),
    _way(FaultMode.CLOSE, "connect", "the connection was closed before an answer"),
    _way(FaultMode.RESET, "connect", "the connection was reset"),
    _way(FaultMode.RESET_HALFWAY, "connect", "the connection was reset"),
    _way(FaultMode.NO_TLS, "tls", "no TLS connection (", tls=True),
    _way(FaultMode.UNKNOWN_CA, "tls", "the certificate is not trusted: self", tls=True),
    _proxy("proxy_down", ProxyMode.DOWN, "the proxy cannot be reached: connection refused"),
    _proxy("proxy_forbids", ProxyMode.FORBID, "the proxy refused (http=403)"),
    _proxy("proxy_407", ProxyMode.ASK_PASSWORD, "the proxy does not accept its user or password (http=407)"),
    _proxy("plain_proxy_407", ProxyMode.ASK_PASSWORD, "the proxy does not accept its user or password", tls=False),
    _way(FaultMode.STALL, "timeout", "no whole answer within the timeout"),
    _way(FaultMode.TRICKLE, "timeout", "no whole answer within the timeout"),
    _way(FaultMode.LATENCY, "timeout", "no whole answer within the timeout"),
    _way(FaultMode.SERVER_ERROR, "server", "the API failed inside (code=InternalError http=500 request_id="),
    _way(FaultMode.HTTP_500, "server", "the API failed inside (http=500)"),
    _way(FaultMode.HTTP_502, "server", "the API failed inside (http=502)"),
    _way(FaultMode.HTTP_503, "server", "the API failed inside (http=503)"),
    _rate(FaultMode.THROTTLE, "too many calls for the account's limit (code=FlowLimitExceeded.QPSOverLimit http=200"),
    _rate(FaultMode.THROTTLE_SECONDS, "too many calls for the account's limit (http=429)"),
    _rate(FaultMode.THROTTLE_DATE, "too many calls for the account's limit (http=429)"),
    _key(FaultMode.INVALID_ACCESS_KEY, "the API does not accept the access key (code=InvalidAccessKey http=401"),
    _key(FaultMode.INVALID_SIGNATURE, "is it the secret of this access key? (code=SignatureDoesNotMatch"),
    _key(FaultMode.INVALID_AUTHORIZATION, "does not accept the authorization header (code=InvalidAuthorization"),
    _key(FaultMode.INVALID_CREDENTIAL, "does not accept the authorization header (code=InvalidCredential"),
    _key(FaultMode.NO_SIGNATURE, "does a proxy drop headers? (code=MissingAuthenticationToken"),
    _key(FaultMode.EXPIRED_TOKEN, "the session token; has it expired? (code=InvalidSecretToken"),
    _key(FaultMode.LACK_POLICY, "the access key has no right to call GetWebCastTask (code=LackPolicy"),
    _key(FaultMode.CLOCK, "is this machine's clock right? (code=InvalidTimestamp"),
    _key(FaultMode.HTTP_403, "the API refuses the credentials (http=403)"),
    _app(FaultMode.APP_DENIED, "the access key may not read this app (code=AccessDenied.NoPermissionForApp"),
    _app(FaultMode.APP_OF_ANOTHER_PROJECT, "the access key may not read this app (code=LackProjectPolicy"),
    _app(FaultMode.APP_OF_ANOTHER_ACCOUNT, "belongs to another account (code=InvalidParameter.AccountIdMismatch"),
    _app(FaultMode.APP_UNKNOWN, "the API knows no such app (code=InvalidParameter.NotExistAppId"),
    _answer(FaultMode.HTTP_400, "rejected", "the API rejects the request (http=400)"),
    _answer(FaultMode.HTTP_404, "rejected", "the API rejects the request (http=404)"),
    _answer(FaultMode.REDIRECT, "rejected", "the API answered with a redirect, which is not followed (http=302)"),
    _answer(FaultMode.HTML, "decode", "the answer is no JSON"),
    _answer(FaultMode.EMPTY, "decode", "the answer is empty"),
    _answer(FaultMode.CUT_JSON, "decode", "the answer is no JSON"),
    _answer(FaultMode.HUGE, "decode", "the answer is larger than 1 MiB"),
    _answer(FaultMode.LIST, "schema", "the answer is no JSON object"),
    _answer(FaultMode.STRANGE_JSON, "schema", "the answer has neither Result nor ResponseMetadata"),
    _answer(FaultMode.WRONG_TYPES, "schema", "Status is missing or none of 0 to 4"),
    _not_found(FaultMode.NOT_FOUND_ERROR),
    _not_found(FaultMode.NOT_FOUND_NULL),
    _not_found(FaultMode.NOT_FOUND_EMPTY),
    _not_found(FaultMode.NOT_FOUND_ZERO),
    _harmless(FaultMode.ODD_FIELDS),
    _harmless(FaultMode.NUMBERS_AS_TEXT),
    _harmless(FaultMode.LATENCY, "slow", latency=0.3),
    _harmless(FaultMode.CLOCK, "clock_a_bit", ahead=-100.0),
)
FAILING = tuple(case for case in CASES if case.reason)
