"""Gzip, lightly: the text repeats itself so much that a higher level buys little for its time."""

import zlib
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from types import ModuleType

packing: ModuleType = zlib
with suppress(ImportError):  # it has no build for every machine
    packing = import_module("isal.isal_zlib")  # a fifth of zlib's time (docs/performance.md)

LIGHT = 1
WINDOW = zlib.MAX_WBITS | 16
"""The largest window, in gzip's own wrapping."""


def gzipped(pieces: Iterable[bytes]) -> bytes:
    """The pieces as one stream. Packing needs no GIL, so that nobody else is held up."""
    packer = packing.compressobj(LIGHT, zlib.DEFLATED, WINDOW)
    packed = [packer.compress(piece) for piece in pieces]
    return b"".join((*packed, packer.flush()))
