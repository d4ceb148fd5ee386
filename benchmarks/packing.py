"""What gzip costs, by library and level, on the text of 3,600 tasks: `python -m benchmarks.packing`.

Others are measured when they are installed (`pip install zlib-ng`): a dependency must earn its place.
"""

import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType

from benchmarks.fleet import read_fleet
from benchmarks.result import interleaved
from exporter.metrics.exposition import Format
from exporter.web.endpoints import GZIP_WINDOW, chunks

TASKS = 3_600
LEVELS = {"zlib": (1, 6), "isal.isal_zlib": (0, 1, 2), "zlib_ng.zlib_ng": (1, 2)}


def main() -> None:
    """Print milliseconds and MB, the standard library's level 1 first."""
    pieces = list(read_fleet(TASKS).exposition.pieces(Format.TEXT))
    ways = [(name, level, library) for name, levels in LEVELS.items() if (library := _found(name)) for level in levels]
    times = interleaved(9, *[_timed(pieces, library, level) for _, level, library in ways])
    for (name, level, library), seconds in zip(ways, times, strict=True):
        size = _packed(pieces, library, level)
        print(f"{name:16} level {level}: {1e3 * seconds:6.1f} ms, {times[0] / seconds:4.1f}x, {size / 1e6:.2f} MB")


def _found(name: str) -> ModuleType | None:
    with suppress(ImportError):
        return import_module(name)
    return None


def _packed(pieces: list[bytes], library: ModuleType, level: int) -> int:
    packer = library.compressobj(level, zlib.DEFLATED, GZIP_WINDOW)
    return sum(len(packer.compress(piece)) for piece in chunks(pieces)) + len(packer.flush())


def _timed(pieces: list[bytes], library: ModuleType, level: int) -> Callable[[], float]:
    def timed() -> float:
        begun = time.perf_counter()
        _packed(pieces, library, level)
        return time.perf_counter() - begun

    return timed


if __name__ == "__main__":
    main()
