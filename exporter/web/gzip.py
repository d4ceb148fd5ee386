"""Gzip, lightly: the text repeats itself so much that a higher level buys little for its time."""

import zlib

try:
    from isal.isal_zlib import compress  # a fifth of zlib's time (docs/performance.md)
except ImportError:  # it has no build for this machine
    from zlib import compress

LIGHT = 1
WINDOW = zlib.MAX_WBITS | 16
"""The largest window, in gzip's own wrapping."""


def gzipped(body: bytes) -> bytes:
    """The same, compressed. It needs no GIL, so that nobody else is held up."""
    return compress(body, LIGHT, wbits=WINDOW)
