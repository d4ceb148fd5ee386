"""`python -m benchmarks [short]`: every benchmark, one after the other, and their table; 1 when one is not held."""

import sys

from benchmarks import big_state, footprint, load, naive, poll, scrape, waves
from benchmarks.result import table

ALL = (scrape, poll, load, footprint, naive, big_state, waves)


def main() -> int:
    """Run them."""
    results = []
    for benchmark in ALL:
        print(f"{benchmark.__name__} ...", file=sys.stderr, flush=True)
        results += benchmark.measure(short="short" in sys.argv)
    print(table(results))
    return 0 if all(result.held for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
