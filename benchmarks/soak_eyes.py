"""What a soak looks at: scrapes whose counters must never fall, and the memory and threads of the process."""

import gzip
import re
import statistics
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.processes import rss

COUNTER = re.compile(r"^([a-z_]+_(?:total|count|sum|bucket)(?:\{[^}]*\})?) (\S+)", re.MULTILINE)
OF_ONE_TASK = "webcast_task_"
PATIENCE = 10.0
MIB = 1024 * 1024

Counters = dict[str, float]


def counters_in(text: str) -> Counters:
    """Every sample of a counter or a histogram."""
    return {sample: float(value) for sample, value in COUNTER.findall(text)}


@dataclass
class Scraper:
    """One kept connection. `lower` are samples that fell, `lost` those that vanished, `slowest` is in seconds."""

    address: str
    accept: str
    encoding: str
    seen: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lower: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    latest: Counters = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = HTTPConnection(self.address, timeout=PATIENCE)

    def scrape(self) -> None:
        """Take one, and hold it against the one before."""
        began = time.perf_counter()
        try:
            text = self._text()
        except OSError as error:
            self.failed.append(type(error).__name__)
            self._connection.close()
            return
        self.slowest = max(self.slowest, time.perf_counter() - began)
        self.seen += 1
        before, self.latest = self.latest, counters_in(text)
        self.lower += [name for name, value in self.latest.items() if value < before.get(name, value)]
        self.lost += [name for name in before.keys() - self.latest.keys() if not name.startswith(OF_ONE_TASK)]

    def by(self, name: str, label: str) -> dict[str, int]:
        """A counter by one label, added up over the others; what is zero is left out."""
        found: dict[str, int] = {}
        for sample, value in self.latest.items():
            if sample.partition("{")[0] == name and value:
                which = sample.partition(f'{label}="')[2].partition('"')[0]
                found[which] = found.get(which, 0) + int(value)
        return found

    def total(self, name: str) -> int:
        """All samples of a counter."""
        return sum(int(value) for sample, value in self.latest.items() if sample.partition("{")[0] == name)

    def _text(self) -> str:
        self._connection.request("GET", "/metrics", headers={"Accept": self.accept, "Accept-Encoding": self.encoding})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:  # noqa: PLR2004 - OK
            self.failed.append(str(answer.status))
        return (gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body).decode()


@dataclass
class Vitals:
    """Memory (bytes) and threads of a process over time (monotonic seconds)."""

    pid: int
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def look(self) -> None:
        """Note them now."""
        self.samples.append((time.monotonic(), rss(self.pid), threads(self.pid)))

    def memory(self, since: float, until: float) -> float:
        """The median in MiB between two moments."""
        return statistics.median(memory for at, memory, _ in self.samples if since <= at <= until) / MIB

    def threads(self, since: float, until: float) -> int:
        """The smallest number of threads between two moments."""
        return min(number for at, _, number in self.samples if since <= at <= until)

    @property
    def most_threads(self) -> int:
        """At any moment."""
        return max(number for _, _, number in self.samples)


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
