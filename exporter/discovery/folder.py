"""What is on the disk: which files a pattern names, and whether one has changed."""

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from exporter.config.discovery import GLOB
from exporter.config.files import FileFault, fault_of

ABSENT = (FileNotFoundError, NotADirectoryError)


class Trace(NamedTuple):
    """What tells one version of a file from the next.

    Where its links lead is a part of it: Kubernetes swaps the folder behind a mounted ConfigMap.
    """

    real_path: str
    device: int
    inode: int
    size: int
    modified: int
    changed: int


def trace_of(path: Path) -> Trace:
    """The file's trace now; FileFault when it cannot be had, or is nothing that ends."""
    try:
        found = path.stat()
        real_path = os.path.realpath(path)
    except OSError as error:
        raise fault_of(error) from None
    if stat.S_ISDIR(found.st_mode):
        raise fault_of(IsADirectoryError())
    if not stat.S_ISREG(found.st_mode):
        raise FileFault("is not a regular file")
    return Trace(real_path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def covers(pattern: Path, path: Path) -> bool:
    """Whether the pattern names this path."""
    if not GLOB.search(pattern.name):
        return pattern == path
    return pattern.parent == path.parent and fnmatchcase(path.name, pattern.name.replace("[^", "[!"))


def matching(pattern: Path) -> list[Path]:
    """The paths that the pattern names now, in order; none where there is no folder. OSError when one cannot look."""
    try:
        if GLOB.search(pattern.name):
            paths = [pattern.parent / name for name in sorted(os.listdir(pattern.parent))]  # noqa: PTH208 - names are all
            return [path for path in paths if covers(pattern, path)]
        pattern.lstat()
    except ABSENT:
        return []
    return [pattern]


def shown(path: Path) -> str:
    """The path as a log may hold it: a file's name can hold a line break."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
