"""Addresses to listen on, as the file and the command line have them."""

import re

ADDRESS = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-fA-F:.]{2,45}(?:%[\w.-]{1,32})?)\]|(?P<host>[\w.-]{1,253}))?:(?P<port>[0-9]{1,5})", re.ASCII
)
LARGEST_PORT = 65535


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` (every interface) or `[IPV6]:PORT` to listen on; ValueError with a sentence for a person."""
    found = ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > LARGEST_PORT:
        bare_ipv6 = text.count(":") > 1 and "[" not in text
        hint = "put an IPv6 address in brackets, [::1]:10960" if bare_ipv6 else "write HOST:PORT or :PORT"
        raise ValueError(f"{text[:200]!r} is no address to listen on: {hint}")
    return found["ipv6"] or found["host"] or "", int(found["port"])
