"""Where the CPU time of a whole poll goes, by package: `python -m benchmarks.where`.

The profiler makes every call of a Python function dearer than one into C, so these are shares, not times.
"""

import cProfile
import pstats
from collections import Counter
from pathlib import PurePath

from benchmarks.poll import TASKS, polls
from benchmarks.processes import module

CALLS = 3_000
PACKAGES = ("exporter", "requests", "urllib3", "http", "email", "json", "sqlalchemy", "prometheus_client")


def main() -> None:
    """Print the shares."""
    with module("benchmarks.vendor", str(TASKS)) as (_, url), polls(url) as poll:
        for _ in range(TASKS):
            poll()
        with cProfile.Profile() as profile:
            for _ in range(CALLS):
                poll()
    spent = Counter[str]()
    for (file, _, function), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
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


if __name__ == "__main__":
    main()
