"""Addresses in the file, checked before anything is sent to them. No sentence repeats one: it may hold a password."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from exporter.config.texts import text

HOST = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?")


def endpoint_url(raw: object) -> str:
    """The API's `scheme://host[:port]` without a final slash; ValueError with a sentence.

    Plain http is for a simulator on this machine: a signature in the clear can be replayed for 15 minutes.
    """
    url = _split(raw)
    if url.username is not None or url.password is not None:
        raise ValueError("must hold no user name or password")
    if url.path not in {"", "/"} or url.query or url.fragment or "?" in text(raw) or "#" in text(raw):
        raise ValueError("must be https://host or https://host:port, with nothing after it")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise ValueError("must be https; plain http is only for a loopback host (localhost, 127.0.0.1, ::1)")
    return f"{url.scheme}://{url.netloc}"


def proxy_with_password(raw: object) -> str:
    """A proxy's URL as it is, user name and password included; ValueError with a sentence."""
    url = _split(raw)
    if url.path not in {"", "/"} or url.query or url.fragment:
        raise ValueError("must be http://host:port or https://host:port, with nothing after it")
    return text(raw)


def feed_url(raw: object) -> str:
    """The whole URL of a list of targets, path and query included; ValueError with a sentence."""
    url = _split(raw)
    if url.username is not None or url.password is not None:
        raise ValueError("must hold no user name or password: they are secrets, give them in basic_auth")
    if "#" in text(raw):
        raise ValueError("must have nothing after a #: it is never sent")
    return text(raw)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(raw: object) -> SplitResult:
    """An http or https URL with a usable host and port, or ValueError with a sentence."""
    value = text(raw)
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise ValueError("must be a URL without spaces or special characters")
    try:
        url = urlsplit(value)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError("must be a URL with a valid host and port") from None
    if url.scheme not in {"http", "https"}:
        raise ValueError("must start with https:// or http://")
    if port == 0 or url.netloc.endswith(":") or not (HOST.fullmatch(host) or _is_ip(host)):
        raise ValueError("must be a URL with a valid host and port")
    return url


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
