"""Processes that are measured: started, asked for their CPU time and memory, ended."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


@contextmanager
def module(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m` these; the process, and the first line that it prints."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def running(command: list[str], address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server of another's until it listens on its address."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _until_it_listens(address)
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _until_it_listens(address: str, seconds: float = 20.0) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def part(name: str) -> Path | None:
    """A program of Debian's, on PATH or in .real-parts; None where it is not there."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(ROOT / ".real-parts/usr/bin")]))
    return Path(found) if found else None


def cpu(pid: int) -> float:
    """Seconds of CPU time that a process has used, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid: int) -> int:
    """Bytes of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmRSS:"))


class Scraper(AbstractContextManager["Scraper"]):
    """One kept connection, closed on the way out."""

    def __init__(self, url: str, path: str = "/metrics") -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._path = path

    def __exit__(self, *_exception: object) -> None:
        self._connection.close()

    def body(self) -> bytes:
        """The text that is served."""
        self._connection.request("GET", self._path, headers={"Accept-Encoding": "identity"})
        return self._connection.getresponse().read()

    def scrape(self, encoding: str = "gzip") -> tuple[float, int]:
        """Seconds from the request to the end of the answer, and its bytes as they came."""
        begun = time.perf_counter()
        self._connection.request("GET", self._path, headers={"Accept-Encoding": encoding})
        body = self._connection.getresponse().read()
        return time.perf_counter() - begun, len(body)
