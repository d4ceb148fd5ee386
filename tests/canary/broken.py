"""The exporter with errors that nobody foresaw, wherever secrets are at hand; and in the end it crashes."""

from typing import Any, Never

from exporter import cli
from exporter.app import callbacks, push, serve
from exporter.app.signals import Signals, Wish
from exporter.rtc import signing
from exporter.web.passwords import Passwords


def _break(*_args: Any, **_keys: Any) -> Never:
    raise RuntimeError("nobody foresaw this")


def _until_stopped(_exporter: Any, _watched: Any, signals: Signals) -> Never:
    while signals.wait(1.0) is not Wish.STOP:
        pass
    _break()


if __name__ == "__main__":
    signing.signing_key = _break  # type: ignore[assignment]  # broken on purpose, as all below
    callbacks.judge = _break
    push.PushDesk.admits = _break  # type: ignore[method-assign]
    Passwords._fits = _break  # type: ignore[method-assign]
    serve._watch = _until_stopped
    cli.main()
