"""The listener that serves `/callback` alone, for the open internet, when the configuration asks for one."""

from collections.abc import Callable
from typing import NamedTuple

from starlette.types import ASGIApp

from exporter.web.auth import CurrentPolicy
from exporter.web.server import Listener, bind


class Planned(NamedTuple):
    """A listener as a configuration asks for it, with its address; None for none."""

    address: str | None
    listener: Listener | None


CLOSED = Planned(None, None)
PLACE = "callbacks.listen_address"
SHARE = 4
"""Of the files that may be open: half of what the main listener has, so that a quarter is left when both are full."""


class CallbackListener:
    """At most one listener. A new one listens before the old one ends, so that a reload misses no callback.

    It uses the certificate of the `policy`, and asks for no client certificate or password.
    """

    def __init__(
        self, make_site: Callable[[], ASGIApp], failed: Callable[[str, Exception], None], policy: CurrentPolicy
    ) -> None:
        self._make_site = make_site
        self._failed = failed
        self._policy = policy
        self._now = CLOSED

    @property
    def url(self) -> str | None:
        """Where it is, from this machine."""
        return self._now.listener.url if self._now.listener else None

    def plan(self, address: str | None) -> Planned:
        """Listen there, unless that is so already; StartError when the address cannot be had."""
        if address == self._now.address or address is None:
            return self._now if address else CLOSED
        bound, site = bind(address, PLACE), self._make_site()
        listener = Listener(site, bound, self._failed, PLACE, lambda: self._policy().callback_tls, share=SHARE)
        listener.start()
        return Planned(address, listener)

    def swap(self, planned: Planned) -> None:
        """Put it in force, and close the one before."""
        before, self._now = self._now, planned
        if before.listener is not None and before.listener is not planned.listener:
            before.listener.stop()

    def close(self) -> None:
        """Listen no more."""
        self.swap(CLOSED)
