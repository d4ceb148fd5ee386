"""The exporter with unexpected errors wherever secrets are at hand; and in the end it crashes."""

from contextlib import ExitStack
from typing import Any, Never
from unittest.mock import patch

from exporter import cli
from exporter.service.signals import SignalAction, Signals

BROKEN = (
    "exporter.volcengine.signing.signing_key",
    "exporter.service.callbacks.verify_callback",
    "exporter.config.credentials.TokenFile.matches",
    "exporter.web.auth.PasswordChecker._matches",
)


def fail(*_args: Any, **_keys: Any) -> Never:
    raise RuntimeError("made to fail")


def crash(_exporter: Any, signals: Signals, _lock: Any) -> Never:
    while signals.wait(1.0) is not SignalAction.STOP:
        pass
    fail()


if __name__ == "__main__":
    with ExitStack() as stack:
        for name in BROKEN:
            stack.enter_context(patch(name, fail))
        stack.enter_context(patch("exporter.service.serve.follow", crash))
        cli.main()
