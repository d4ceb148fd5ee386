"""Where the time goes: of a poll by package, of packing by library and level; `python -m benchmarks.costs poll|gzip`.

The profiler makes calls of Python functions dearer than calls into C, so the first are shares and not times. Other gzip
libraries are measured when they are installed (`pip install zlib-ng`): a dependency must earn its place.
"""

import cProfile
import pstats
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import PurePath
from types import ModuleType

from benchmarks.fleet import read_fleet
from benchmarks.poll import TASKS as POLL_TASKS
from benchmarks.poll import polls
from benchmarks.processes import module
from benchmarks.result import interleaved
from exporter.metrics.exposition import Format
from exporter.web.endpoints import GZIP_WINDOW, chunks

CALLS = 3_000
PACKAGES = ("exporter", "requests", "urllib3", "http", "email", "json", "sqlalchemy", "prometheus_client")


def where() -> None:
    """Print the shares."""
    with module("benchmarks.served", "vendor", str(POLL_TASKS)) as (_, url), polls(url) as poll:
        for _ in range(POLL_TASKS):
            poll()
        with cProfile.Profile() as profile:
            for _ in range(CALLS):
                poll()
    spent = Counter[str]()
    for (file, _, function), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]  # pstats has it, typeshed not
        spent[room(file, function)] += own
    for name, seconds in spent.most_common(18):
        print(f"{100 * seconds / spent.total():5.1f} %  {name}")


def room(file: str, function: str) -> str:
    """The package, of ours the folder too; what is built in goes by its own name."""
    parts = PurePath(file).parts
    for package in PACKAGES:
        if package in parts:
            inside = parts[parts.index(package) :]
            return ".".join(inside[:2]) if package == "exporter" else package
    return function if file == "~" else PurePath(file).stem


TASKS = 3_600
LEVELS = {"zlib": (1, 6), "isal.isal_zlib": (0, 1, 2), "zlib_ng.zlib_ng": (1, 2)}


def packing() -> None:
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
    {"poll": where, "gzip": packing}[sys.argv[1]]()
