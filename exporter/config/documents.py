"""Files of users: read with bounds, compared by fingerprint, and parsed as YAML with limits."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Never

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from exporter.errors import ConfigError, Problem

FAULTS: Final[dict[type[OSError], str]] = {
    FileNotFoundError: "does not exist",
    NotADirectoryError: "does not exist",
    IsADirectoryError: "is a directory, not a file",
    PermissionError: "may not be read by this user",
}
KINDS: Final = {
    stat.S_IFDIR: "is a directory, not a file",
    stat.S_IFIFO: "is a named pipe, not a file",
    stat.S_IFSOCK: "is a socket, not a file",
    stat.S_IFCHR: "is a device, not a file",
    stat.S_IFBLK: "is a device, not a file",
}
"""What a path may lead to that is no regular file; reading some of these never ends."""


class FileFault(ValueError):
    """The file cannot be used; the message says why, without its name: a name in the wrong place may be a secret."""


def fault_of(error: OSError) -> FileFault:
    """Return the same failure as a sentence."""
    return FileFault(FAULTS.get(type(error)) or f"cannot be read ({error.strerror})")


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a whole regular file; FileFault when it is none, cannot be read, or has over `limit` bytes."""
    try:
        check_kind(path.stat())
        # Not blocking, and looked at again: the path may be a pipe by now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            check_kind(os.fstat(descriptor))
            content = file.read(limit + 1)
    except OSError as error:
        raise fault_of(error) from None
    except FileFault:
        raise
    except ValueError:
        raise FileFault("is not a possible file name") from None
    if len(content) > limit:
        raise FileFault(f"has more than {limit:,} bytes")
    return content


def read_text(path: Path, limit: int) -> str:
    """Read a whole file as UTF-8, a byte order mark left out; FileFault as `read_bytes`."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFault(f"is not UTF-8 text (at byte {error.start})") from None


def check_kind(found: os.stat_result) -> None:
    """FileFault when it is no regular file: a directory, a device, a named pipe, which may never end."""
    if not stat.S_ISREG(found.st_mode):
        raise FileFault(KINDS.get(stat.S_IFMT(found.st_mode), "is not a regular file"))


Fingerprint = tuple[int, ...] | None
Fingerprints = tuple[Fingerprint, ...]


def fingerprints(files: Iterable[Path]) -> Fingerprints:
    """Return the fingerprint of each file."""
    return tuple(map(fingerprint, files))


def fingerprint(file: Path) -> Fingerprint:
    """Return what tells one version of a file from the next; None for one that is not there."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


PLAIN_KEY: Final = re.compile(r"[\w@-]{1,80}")
MAX_KEY_CHARS: Final = 80


def step(path: str, part: str | int) -> str:
    """Return the config path one step further down: a key, or an index of a list (`accounts[0].max_qps`)."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    key = part if PLAIN_KEY.fullmatch(part) else ascii(part[:MAX_KEY_CHARS])
    return f"{path}.{key}" if path else key


Loader: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast."""

MAX_DEPTH: Final = 50
"""Levels of nesting; the schema needs six."""
MAX_VALUES: Final = 300_000
"""Values once all aliases are written out; 20,000 targets, each with labels of its own, are some 200,000."""

MAX_PROBLEMS: Final = 100
"""Problems of one document that are listed; the parsing ends with the next one."""

QUOTED: Final = re.compile(r"'[^']?'|'[^'<][^']+'|\"[^\"]+\"")
STRING: Final = "tag:yaml.org,2002:str"
NULL: Final = "tag:yaml.org,2002:null"
PLAIN_TEXT: Final = frozenset({STRING, "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"})
"""Tags of plain text; YAML 1.1 gives `<<` and `=` tags of their own, which mean something for keys alone."""
TYPES: Final = ("str", "null", "bool", "int", "float", "timestamp")
SCALAR_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in TYPES)
COLLECTION_TAGS: Final = frozenset({"tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})


class Plain(str):
    """The text of a scalar that YAML 1.1 takes for a number, a boolean or a date: `1`, `yes`, `2026-01-15`.

    It is text where text is meant, as to Prometheus; `typed` makes the other value of it.
    """

    __slots__ = ("tag",)
    tag: str


def typed(raw: object) -> object:
    """Return the number, boolean or date that a plain scalar stands for; other values as they are."""
    if not isinstance(raw, Plain):
        return raw
    try:
        return SafeConstructor().construct_object(yaml.ScalarNode(raw.tag, str(raw)))
    except (ValueError, LookupError, AttributeError, OverflowError, yaml.YAMLError):
        return str(raw)


def parse_yaml(text: str) -> tuple[object, list[Problem]]:
    """Parse one YAML document, None when it is empty; with its repeated keys, of which the last holds.

    Numbers, booleans and dates are `Plain` text. ConfigError when it is no YAML, or YAML that no configuration needs.
    """
    try:
        return _YamlBuilder(text).document()
    except yaml.MarkedYAMLError as error:
        problem = _sentence(error)
    except (yaml.YAMLError, UnicodeEncodeError):
        problem = "the file is not YAML: there is a control or otherwise impossible character in it"
    raise ConfigError([Problem("", problem)])


def _sentence(error: yaml.MarkedYAMLError) -> str:
    """Say where and what, without the text of the file: a `*` or `!` before a secret makes an alias or a tag of it."""
    mark = error.problem_mark
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    words = ", ".join(part for part in (error.context, error.problem) if part)
    what = QUOTED.sub(lambda quoted: quoted[0] if len(quoted[0]) <= len("'x'") else "...", words)
    return f"the file is not YAML{where}: {what}"


class _YamlBuilder:
    """Builds the values of one document from the parser's events.

    An alias costs little to write: nine lines can mean a thousand million values. So each value has a size, that of an
    alias is its anchor's, and the first value too many ends the parsing.
    """

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader)
        self._resolver = Resolver()
        self._anchors: dict[str, tuple[object, int] | None] = {}
        self._total = 0
        self._fatal: list[Problem] = []
        self._repeated: list[Problem] = []

    def document(self) -> tuple[object, list[Problem]]:
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None, []
        value = self._value(next(self._events), "", 0)
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            _fail(event, "expected a single document in the stream")
        if self._fatal:
            raise ConfigError(self._fatal)
        return value, self._repeated

    def _value(self, event: yaml.Event, path: str, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # noqa: S101 - the parser begins a value with no other event
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        before = self._total
        self._count(1)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path)
        else:
            if event.tag not in (None, "!", *COLLECTION_TAGS):
                self._tag(event, path)
            sequence = isinstance(event, yaml.SequenceStartEvent)
            value = self._sequence(path, depth) if sequence else self._mapping(path, depth)
        if anchor is not None:
            self._anchors[anchor] = value, self._total - before
        return value

    def _alias(self, event: yaml.AliasEvent, path: str) -> object:
        if event.anchor not in self._anchors:
            _fail(event, "found an alias without an anchor before it")
        found = self._anchors[event.anchor]
        if found is None:
            self._problem(event, path, "an alias stands inside of what it repeats")
            return None
        self._count(found[1])
        return found[0]

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> object:
        explicit = event.tag not in (None, "!")
        if not event.implicit[0] and not explicit:
            return event.value
        tag: str = event.tag or ""
        if not explicit:
            tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == NULL:
            return None
        if tag == STRING or (tag in PLAIN_TEXT and not explicit):
            return event.value
        if tag not in SCALAR_TAGS:
            self._tag(event, path)
        plain = Plain(event.value)
        plain.tag = tag
        return plain

    def _sequence(self, path: str, depth: int) -> list[object]:
        values: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, step(path, len(values)), depth + 1))
        return values

    def _mapping(self, path: str, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        merged: dict[str, object] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            scalar = event if isinstance(event, yaml.ScalarEvent) else None
            key = scalar.value if scalar else self._value(event, path, depth + 1)
            if not isinstance(key, str):
                self._problem(event, path, "a key must be a string")
                self._value(next(self._events), path, depth + 1)
                continue
            if scalar and scalar.tag is None and scalar.implicit[0] and key == "<<":
                merged = {**merged, **self._merged(next(self._events), path, depth)}
                continue
            place = step(path, key)
            if scalar and scalar.tag not in (None, "!", *SCALAR_TAGS):
                self._tag(event, place)
            line, _ = _position(event)
            if key in lines:
                _add(self._repeated, Problem(place, f"is there twice, on line {lines[key]} and line {line}"))
            lines.setdefault(key, line)
            if scalar and scalar.anchor is not None:
                self._anchors[scalar.anchor] = key, 1
            values[key] = self._value(next(self._events), place, depth + 1)
        return {**merged, **values} if merged else values

    def _merged(self, event: yaml.Event, path: str, depth: int) -> dict[str, object]:
        """Return what a key `<<` brings in: of a list of mappings the first one's keys hold."""
        value = self._value(event, path, depth + 1)
        mappings = value if isinstance(value, list) else [value]
        found: dict[str, object] = {}
        for each in reversed(mappings):
            if not isinstance(each, dict):
                if not self._fatal:
                    _fail(event, "expected a mapping or list of mappings for merging")
                continue
            found.update(each)
        return found

    def _count(self, values: int) -> None:
        self._total += values
        if self._total > MAX_VALUES:
            raise ConfigError([Problem("", f"has more than {MAX_VALUES:,} values once its aliases are written out")])

    def _tag(self, event: yaml.Event, path: str) -> None:
        self._problem(event, path, "no tags (! before a value) are known here; put quotes around it")

    def _problem(self, event: yaml.Event, path: str, sentence: str) -> None:
        line, column = _position(event)
        _add(self._fatal, Problem(path, f"{sentence} (line {line}, column {column})"))


def first_problems(problems: Sequence[Problem]) -> list[Problem]:
    """Return MAX_PROBLEMS of them at most, and how many more there are: a log has all of a reload in one line."""
    more = len(problems) - MAX_PROBLEMS
    return [*problems[:MAX_PROBLEMS], *([Problem("", f"there are {more:,} more problems")] if more > 0 else [])]


def _add(problems: list[Problem], problem: Problem) -> None:
    if len(problems) == MAX_PROBLEMS:
        raise ConfigError([*problems, Problem("", "there are more such problems")])
    problems.append(problem)


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _fail(event: yaml.Event, problem: str) -> Never:
    line, column = _position(event)
    raise ConfigError([Problem("", f"the file is not YAML at line {line}, column {column}: {problem}")])
