"""One element of `http_sd_configs`: what its URL answered last, as long as it answered well."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic

from requests.adapters import BaseAdapter

from exporter.config.discovery import HttpSdConfig
from exporter.discovery.feed import Refreshed, SDSource, SDSourceError
from exporter.discovery.groups import Listing, one_list, read_groups
from exporter.discovery.http_get import Getter
from exporter.discovery.sd_form import groups_of_json
from exporter.enums import Source

EMPTY = Listing(Source.HTTP)


@dataclass(frozen=True, slots=True)
class _Good:
    """The last good body: the list in it, and what tells it from another one."""

    digest: bytes = b""
    document: Listing = EMPTY


class HttpSource:
    """A Feed of one URL. `adapter` takes the place of the network, `stopwatch` gives monotonic seconds."""

    source = Source.HTTP

    def __init__(
        self,
        config: HttpSdConfig,
        place: str,
        adapter: BaseAdapter | None = None,
        stopwatch: Callable[[], float] = monotonic,
    ) -> None:
        self.config = config
        self.place = place
        self.refresh_interval = config.refresh_interval
        self.listing = EMPTY
        self.tried = False
        self._getter = Getter(config, adapter, stopwatch)
        self._good = _Good()

    def refresh(self) -> Refreshed:
        """Ask anew. An empty list is a list: nothing is live now."""
        try:
            return Refreshed(self._learn(self._getter.get()))
        except SDSourceError as fault:
            return Refreshed(changed=False, failures=1, problem=str(fault))
        finally:
            self.tried = True

    def inherit(self, previous: Iterable[SDSource]) -> None:
        """Take over the list of the same URL, though it be asked in another way now."""
        same = [feed for feed in previous if isinstance(feed, HttpSource) and feed.config.url == self.config.url]
        if not same:
            return
        best = max(same, key=lambda feed: (feed.config == self.config, feed.place == self.place))
        self.tried = best.tried and best.config == self.config
        self._adopt(best._good)  # noqa: SLF001 - of its own kind

    def close(self) -> None:
        """Break off what is under way."""
        self._getter.close()

    def _learn(self, body: bytes) -> bool:
        """Take a body in; whether the list is another one now."""
        digest = hashlib.sha256(body).digest()
        if digest == self._good.digest:
            return False
        try:
            groups = groups_of_json(body.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise SDSourceError("answered with text that is not UTF-8") from None
        except SDSourceError as fault:
            raise SDSourceError(f"answered with a document that cannot be used: it {fault}") from None
        return self._adopt(_Good(digest, read_groups(Source.HTTP, groups)))

    def _adopt(self, good: _Good) -> bool:
        self._good = good
        self.listing, old = one_list(Source.HTTP, [(self.place, good.document)]), self.listing
        return self.listing != old
