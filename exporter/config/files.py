"""Reading a file that someone else wrote: bounded, as text, and never a traceback."""

from pathlib import Path

SENTENCES: dict[type[OSError], str] = {
    FileNotFoundError: "does not exist",
    NotADirectoryError: "does not exist",
    IsADirectoryError: "is a directory, not a file",
    PermissionError: "may not be read by this user",
}


class FileFault(ValueError):
    """The file cannot be used; the message says why, without its name: a name in the wrong place may be a secret."""


def fault_of(error: OSError) -> FileFault:
    """The same failure as a sentence."""
    return FileFault(SENTENCES.get(type(error)) or f"cannot be read ({error.strerror})")


def read_text(path: Path, limit: int) -> str:
    """The whole file as UTF-8, a byte order mark left out; FileFault when it cannot be, or has over `limit` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise fault_of(error) from None
    except ValueError:
        raise FileFault("is not a possible file name") from None
    if len(content) > limit:
        raise FileFault(f"has more than {limit:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFault(f"is not UTF-8 text (at byte {error.start})") from None
