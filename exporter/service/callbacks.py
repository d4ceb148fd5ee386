"""Callbacks at work: judged, remembered, counted, and their tasks read again."""

import logging
from collections.abc import Sequence
from threading import Lock

from exporter.config.callbacks import Callbacks as CallbackConfig
from exporter.config.schema import Config
from exporter.discovery.kept import Change
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import TargetEntry
from exporter.enums import CallbackOutcome, Source
from exporter.errors import StateError
from exporter.model.callback import Callback
from exporter.service.components import Components
from exporter.service.kept import CarryOut, Secrets
from exporter.volcengine.callbacks import CallbackResult, CallbackRules, verify_callback
from exporter.web.interfaces import CallbackLog, CallbackRecord

log = logging.getLogger(__name__)

HEARD_FOR = 72 * 3600.0
"""Seconds for which a callback is remembered, or twice `max_age` if that is longer: a later copy is stale."""

UNSIGNED = (
    "the signature of one fits no secret of callbacks.secret_file, so that it is refused, as are all like it; is the "
    "console's secret in the file, and is the body forwarded byte for byte? check --callback judges a captured one"
)
MOST_NAMES = 100
"""Event types and apps of ignored callbacks that are told in the log, each once."""


def terms_of(config: CallbackConfig, secrets: Secrets) -> CallbackRules:
    """By what callbacks are measured now."""
    lines = secrets[Source.CALLBACK].current() if Source.CALLBACK in secrets else ()
    return CallbackRules(tuple(line.get_secret_value() for line in lines), config.event_types, config.max_age)


class CallbackIntake:
    """What the vendor calls back, done. Safe for threads: one callback is taken in at a time."""

    def __init__(self, parts: Components, carry_out: CarryOut) -> None:
        self._parts = parts
        self._carry_out = carry_out
        self._taking = Lock()
        self._told: set[str] = set()
        self._told_unsigned = False
        self._recent = CallbackLog(parts.clock)
        self.config = CallbackConfig()

    @property
    def on(self) -> bool:
        """Whether callbacks are taken."""
        return Source.CALLBACK in self._parts.kept.secrets

    @property
    def apart(self) -> bool:
        """Whether they come to a listener of their own."""
        return self.config.listen_address is not None

    def take(self, body: bytes) -> CallbackOutcome:
        """Take one body in; once it comes back, what it says is in the state.

        StateError or StartError: it is not, and is to be sent again.
        """
        verdict = verify_callback(body, terms_of(self.config, self._parts.kept.secrets), self._parts.clock.unix())
        good = verdict.callback if verdict.outcome is CallbackOutcome.ACCEPTED else None
        outcome = verdict.outcome if good is None else self._take_in(good, verdict.unexpected)
        self._tell(outcome, verdict)
        self._parts.self_metrics.called_back(outcome)
        self._recent.add(verdict.shape, outcome)
        return outcome

    def take_over(self, body: bytes, at: float) -> None:
        """Take in what a standby accepted at that moment (Unix seconds), and counted.

        StateError or StartError: it is not in the state.
        """
        verdict = verify_callback(body, terms_of(self.config, self._parts.kept.secrets), at)
        if verdict.outcome is CallbackOutcome.ACCEPTED and verdict.callback:
            self._take_in(verdict.callback, verdict.unexpected)

    def recent(self) -> list[CallbackRecord]:
        """The last ones, the latest first."""
        return self._recent.latest_first()

    def forget(self) -> None:
        """Drop what is remembered of callbacks that would be stale by now."""
        self._parts.store.forget_heard_before(self._parts.clock.unix() - max(HEARD_FOR, 2 * self.config.max_age))

    def _take_in(self, callback: Callback, unexpected: tuple[str, ...]) -> CallbackOutcome:
        with self._taking:
            if self._parts.store.has_heard(callback):
                self._parts.store.flush()
                self._require_written(callback)
                return CallbackOutcome.DUPLICATE
            if not self._carry_out(lambda config: self._named(callback, config)):
                return CallbackOutcome.IGNORED
            known = self._parts.registry.apply_callback(callback)
        self._require_written(callback)
        for field in unexpected:
            self._parts.self_metrics.unexpected(field)
        if known is not None:
            self._parts.desks.ask(known)
        return CallbackOutcome.ACCEPTED

    def _named(self, callback: Callback, config: Config) -> Sequence[Change]:
        """A target from now on, if there is an account to read it."""
        if AccountOf(config.accounts)(callback.target.app_id) is None:
            return ()
        return [self._parts.kept[Source.CALLBACK].added({callback.target: TargetEntry({})}, self._parts.clock.unix())]

    def _require_written(self, callback: Callback) -> None:
        if not self._parts.store.has_written(callback):
            raise StateError("the state cannot be written")

    def _tell(self, outcome: CallbackOutcome, verdict: CallbackResult) -> None:
        """An ignored one once by its name, so that a wrong `event_types` is found out; an unsigned one once."""
        if outcome is CallbackOutcome.BAD_SIGNATURE and not self._told_unsigned:
            log.warning("callbacks: %s", UNSIGNED)
        self._told_unsigned = outcome is CallbackOutcome.BAD_SIGNATURE or (
            self._told_unsigned and outcome is not CallbackOutcome.ACCEPTED
        )
        if outcome is not CallbackOutcome.IGNORED:
            return
        app = verdict.callback.target.app_id if verdict.callback else ""
        name = f"app {app}, which is no account's" if app else f"EventType {verdict.shape.event_type!r}"
        if name not in self._told and len(self._told) < MOST_NAMES:
            self._told.add(name)
            log.warning("callbacks: one of %s is ignored, and so are all like it", name)
