"""http_sd_configs: the targets that a URL answers with, fetched within bounds of time, size and redirects."""

import hashlib
import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final
from urllib.parse import urljoin, urlsplit

import urllib3
from requests import Response
from requests.adapters import BaseAdapter

from exporter import __version__
from exporter.config.credentials import authorization_header, unusable_files
from exporter.config.schema import HttpSdConfig
from exporter.discovery.sd_format import (
    MAX_DOCUMENT_BYTES,
    Listing,
    Refreshed,
    SDSource,
    SDSourceError,
    groups_of_json,
    one_list,
    read_groups,
)
from exporter.enums import Source
from exporter.errors import ConfigError, TimedOut
from exporter.volcengine.client import NETWORK_ERRORS, Transport, new_session, proxies_for, trusted_authorities
from exporter.volcengine.error_mapping import error_of_exception
from exporter.volcengine.replies import read_body

TIMEOUT: Final = 10.0
"""Seconds for all of it, redirects included."""
MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
OK: Final = 200
JSON: Final = "application/json"
TOO_SLOW: Final = f"gave no whole answer within {TIMEOUT:g} seconds"
URL_LOGGERS: Final = ("urllib3.connection", "urllib3.connectionpool")
"""Loggers that write a request's whole URL, at DEBUG, and at WARNING when an answer's headers are odd."""


class ListFetcher:
    """Fetches the list of one URL. `adapter` replaces the network, `stopwatch` gives monotonic seconds."""

    def __init__(
        self, config: HttpSdConfig, adapter: BaseAdapter | None = None, stopwatch: Callable[[], float] = monotonic
    ) -> None:
        self._config = config
        self._session = new_session(adapter or Transport(connections=1, before_send=self._refuse_if_closed))
        self._closed = False
        self._stopwatch = stopwatch
        for name in URL_LOGGERS:
            logging.getLogger(name).addFilter(_is_error)
        if config.tls_config.insecure_skip_verify:
            # The configuration asks for it, and its check warns of it.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def fetch(self) -> bytes:
        """Return the decompressed body of a good answer. Raises SDSourceError with a sentence otherwise."""
        problem = next(unusable_files(self._config), None)
        if problem:
            raise SDSourceError(str(problem))
        try:
            return self._followed(self._stopwatch() + TIMEOUT)
        except ConfigError as error:
            raise SDSourceError(str(error)) from None
        except NETWORK_ERRORS as error:
            raise SDSourceError(f"cannot be had: {error_of_exception(error)}") from None

    def close(self) -> None:
        """End the request in flight, and make no further one."""
        self._closed = True
        self._session.close()

    def _refuse_if_closed(self) -> None:
        """Called again once a connection is made: `close` may have been called in the meantime."""
        if self._closed:
            raise SDSourceError("is closed")

    def _followed(self, deadline: float) -> bytes:
        url, headers = self._config.url.whole, self._headers()
        for _ in range(MAX_REDIRECTS + 1):
            response = self._sent(url, headers, deadline)
            try:
                target = self._redirected(url, response)
                if target is None:
                    return self._body(response, deadline)
            finally:
                response.close()
            if self._session.should_strip_auth(url, target):
                headers.pop("Authorization", None)
            url = target
        raise SDSourceError(f"redirects more than {MAX_REDIRECTS} times")

    def _headers(self) -> dict[str, str]:
        seconds = self._config.refresh_interval
        headers = {
            "Accept": JSON,
            "Accept-Encoding": "gzip",
            "Connection": "close",  # the next look is a refresh_interval away, with certificates read anew
            "User-Agent": f"webcast-exporter/{__version__}",
            "X-Prometheus-Refresh-Interval-Seconds": f"{seconds:.3f}".rstrip("0").rstrip("."),
        }
        authorization = authorization_header(self._config)
        return headers | ({"Authorization": authorization} if authorization else {})

    def _sent(self, url: str, headers: dict[str, str], deadline: float) -> Response:
        self._refuse_if_closed()
        left = deadline - self._stopwatch()
        if left <= 0:
            raise SDSourceError(TOO_SLOW)
        tls = self._config.tls_config
        proxy_url = self._config.proxy_url.get_secret_value() if self._config.proxy_url else None
        return self._session.get(
            url,
            headers=headers,
            stream=True,
            allow_redirects=False,
            timeout=left,
            verify=not tls.insecure_skip_verify and trusted_authorities(str(tls.ca_file) if tls.ca_file else None),
            cert=(str(tls.cert_file), str(tls.key_file)) if tls.cert_file else None,
            proxies=proxies_for(url, proxy_url),
        )

    def _redirected(self, url: str, response: Response) -> str | None:
        """The URL to follow; None when the answer is no redirect or redirects are off."""
        location = response.headers.get("Location")
        if not self._config.follow_redirects or response.status_code not in REDIRECTS or not location:
            return None
        target = urljoin(url, location)
        if urlsplit(target).scheme not in {"http", "https"}:
            raise SDSourceError("redirects to something that is not http")
        return target

    def _body(self, response: Response, deadline: float) -> bytes:
        if response.status_code != OK:
            raise SDSourceError(f"answered with HTTP status {response.status_code}")
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != JSON:
            raise SDSourceError(f"answered with a Content-Type other than {JSON}")
        try:
            body = read_body(response, MAX_DOCUMENT_BYTES, lambda: self._stopwatch() > deadline)
        except TimedOut:
            raise SDSourceError(TOO_SLOW) from None
        if body is None:
            raise SDSourceError(f"answered with more than {MAX_DOCUMENT_BYTES:,} bytes")
        return body


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


class HttpSource(SDSource):
    """A source that fetches one URL. `adapter` replaces the network, `stopwatch` gives monotonic seconds."""

    source = Source.HTTP
    config: HttpSdConfig

    def __init__(
        self,
        config: HttpSdConfig,
        place: str,
        adapter: BaseAdapter | None = None,
        stopwatch: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(config, place)
        self._fetcher = ListFetcher(config, adapter, stopwatch)
        self.digest = b""
        self.document = self.listing
        """The last good list; `digest` is that of its body."""

    def refresh(self) -> Refreshed:
        """Fetch the list. An empty list is a good one."""
        try:
            changed = self._parse(self._fetcher.fetch())
            self.answered = True
            return Refreshed(changed)
        except SDSourceError as fault:
            return Refreshed(changed=False, failures=1, problem=str(fault))
        finally:
            self.tried = True

    def inherit(self, previous: Iterable[SDSource]) -> None:
        """Take over the last good list of the same URL, also when it is fetched in another way now."""
        same = [
            source for source in previous if isinstance(source, HttpSource) and source.config.url == self.config.url
        ]
        if not same:
            return
        best = max(same, key=lambda source: (source.config == self.config, source.place == self.place))
        self.tried = best.tried and best.config == self.config
        self.answered = best.answered
        self._adopt(best.digest, best.document)

    def close(self) -> None:
        """End the request in flight."""
        self._fetcher.close()

    def _parse(self, body: bytes) -> bool:
        """Parse a body; returns whether the list has changed."""
        digest = hashlib.sha256(body).digest()
        if digest == self.digest:
            return False
        try:
            groups = groups_of_json(body.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise SDSourceError("answered with text that is not UTF-8") from None
        except SDSourceError as fault:
            raise SDSourceError(f"answered with a document that cannot be used: it {fault}") from None
        return self._adopt(digest, read_groups(Source.HTTP, groups))

    def _adopt(self, digest: bytes, document: Listing) -> bool:
        self.digest, self.document = digest, document
        self.listing, old = one_list(Source.HTTP, [(self.place, document)]), self.listing
        return self.listing != old
