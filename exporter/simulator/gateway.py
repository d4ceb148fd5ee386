"""The vendor's front door: from a request and a time to a reply, in the order in which the vendor checks."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from uuid import uuid4

from exporter.model.target import TargetId
from exporter.simulator.authority import Account, owns, verify
from exporter.simulator.calls import Call, Calls, SlidingSecond
from exporter.simulator.faults import Faults
from exporter.simulator.fleet import Fleet
from exporter.simulator.operations import GET_TASK, OPERATIONS, VERSIONS, Ask, Operation, target_of
from exporter.simulator.replies import (
    INVALID_ACTION,
    SERVICE_NOT_FOUND,
    WRONG_OWNER,
    Metadata,
    Refusal,
    Reply,
    Style,
    failure,
    over_qps,
    success,
)
from exporter.simulator.switch import PATH as SWITCH
from exporter.simulator.switch import fault_page
from exporter.simulator.truth import targets_document, truth_document
from exporter.simulator.wire import Request


def _request_id() -> str:
    return uuid4().hex


class Gateway:
    """Answers for a fleet. `accounts`, `style` and `faults.mode` may be changed while it works.

    `qps` is the limit of GetWebCastTask for each account; `request_ids` gives a new RequestId each time. What
    `callbacks` counts, once it is set, is told in `/truth`; `tls` says that it is asked over https.
    """

    def __init__(
        self,
        fleet: Fleet,
        accounts: tuple[Account, ...],
        *,
        region: str = "cn-north-1",
        qps: int = 60,
        style: Style | None = None,
        request_ids: Callable[[], str] = _request_id,
    ) -> None:
        self.fleet = fleet
        self.accounts = accounts
        self.region = region
        self.style = style or Style()
        self.faults = Faults()
        self.calls = Calls()
        self.callbacks: Callable[[], Mapping[str, int]] | None = None
        self.tls = False
        self._request_ids = request_ids
        self._limits = {
            name: defaultdict[str, SlidingSecond](_limiter(qps if name == GET_TASK else operation.qps))
            for name, operation in OPERATIONS.items()
        }
        self._pages: dict[str, Callable[[float], object]] = {
            "/targets": lambda _: targets_document(self.fleet),
            "/truth": self._truth,
        }

    def answer(self, request: Request, at: float) -> Reply:
        """The reply to a request that arrived at `at` (Unix seconds)."""
        if request.method == "GET" and request.path in self._pages:
            return Reply(200, self._pages[request.path](at))
        if request.method in ("GET", "POST") and request.path == SWITCH:
            return fault_page(self.faults, request, at, tls=self.tls)
        params = dict(request.pairs)
        action = params.get("Action", "")
        metadata = Metadata(self._request_ids(), action, params.get("Version", ""), self.region)
        caller, reply = self._reply(request, params, metadata, at)
        if action == GET_TASK:
            target = TargetId(params.get("AppId", ""), params.get("RoomId", ""), params.get("TaskId", ""))
            if caller:
                reply = self.faults.apply(reply, metadata, self.style, target, at)
            self.calls.record(Call(at, caller, target, reply.outcome))
        return reply

    def _reply(self, request: Request, params: Mapping[str, str], metadata: Metadata, at: float) -> tuple[str, Reply]:
        """The name of the caller's account, empty when it is not known, and the reply."""
        caller = ""
        try:
            operation = _operation(request, params)
            account = verify(request, self.accounts, self.region, at + self.faults.clock_ahead)
            caller = account.name
            reply = success(metadata, self._result(operation, account, params, request.body, at))
        except Refusal as refusal:
            reply = failure(metadata, refusal.error, str(refusal))
        return caller, reply

    def _result(
        self, operation: Operation, account: Account, params: Mapping[str, str], body: bytes, at: float
    ) -> object:
        fields = operation.fields(params, body)
        target = target_of(fields)
        if not owns(account, target.app_id, self.accounts):
            raise Refusal(WRONG_OWNER, "Check owner failed")
        if not self._limits[params["Action"]][account.name].admit(at):
            raise Refusal(over_qps(self.style), "The request exceeds the QPS limit.")
        return operation.run(self.fleet, Ask(target, fields, at, self.style))

    def _truth(self, at: float) -> dict[str, object]:
        counts = {outcome.value: count for outcome, count in self.calls.counts.items()}
        calls = {**counts, "max_in_a_second": self.calls.max_calls_in_a_second()}
        callbacks = {} if self.callbacks is None else {"callbacks": self.callbacks()}
        return {**truth_document(self.fleet, at), "calls": calls, **callbacks}


def _limiter(limit: int) -> Callable[[], SlidingSecond]:
    return lambda: SlidingSecond(limit)


def _operation(request: Request, params: Mapping[str, str]) -> Operation:
    if request.path != "/":
        raise Refusal(SERVICE_NOT_FOUND, f"There is nothing at {request.path}.")
    operation = OPERATIONS.get(params.get("Action", ""))
    if operation is None or params.get("Version") not in VERSIONS or request.method != operation.method:
        raise Refusal(INVALID_ACTION, "Could not find this action and version for this method.")
    return operation
