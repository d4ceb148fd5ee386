"""Memory at rest, and of each further task with all groups.

`python -m benchmarks.memory`
"""

import time

from benchmarks.at_work import at_work
from benchmarks.processes import module, rss
from benchmarks.result import Result, at_most, table

FEW, MANY = 3_600, 20_000
FEW_IN_SHORT, MANY_IN_SHORT = 1_000, 5_000
AT_REST = 80e6
A_TASK = 8 * 1024


def measure(*, short: bool = False) -> list[Result]:
    """Resident memory of processes that hold so many tasks, and of one that has nothing to do."""
    few, many = (FEW_IN_SHORT, MANY_IN_SHORT) if short else (FEW, MANY)
    task = (_size(many) - _size(few)) / (many - few)
    with at_work(0, {}) as ours:
        time.sleep(2 if short else 10)
        rest = rss(ours.process.pid)
    return [
        at_most(
            f"memory of a further task, from {few:,} to {many:,} running ones",
            task / A_TASK,
            reach=1,
            hold=1.1,
            ours=f"{task / 1024:.1f} KiB",
            other=f"{A_TASK / 1024:.0f} KiB",
        ),
        at_most(
            "memory at rest",
            rest / AT_REST,
            reach=1,
            hold=1.1,
            ours=f"{rest / 1e6:.0f} MB",
            other=f"{AT_REST / 1e6:.0f} MB",
        ),
    ]


def _size(tasks: int) -> int:
    with module("benchmarks.served", "ours", str(tasks)) as (process, _):
        return rss(process.pid)


if __name__ == "__main__":
    print(table(measure()))
