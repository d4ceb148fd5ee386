"""YAML text as plain values, safe to walk: bounded in depth and size, without cycles, tags or odd keys."""

import re
from collections.abc import Iterator

import yaml

from exporter.config.nodes import DEEPEST, check
from exporter.errors import ConfigError, Problem

Loader: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast."""

QUOTED = re.compile(r"'[^']?'|'[^'<][^']+'|\"[^\"]+\"")


def parse(text: str) -> tuple[object, list[Problem]]:
    """The values of one YAML document, None when it is empty, and its repeated keys (of which the last holds).

    ConfigError when it is no YAML, or YAML that no configuration needs.
    """
    try:
        _bounded_depth(text)
        return _built(text)
    except yaml.MarkedYAMLError as error:
        problem = _sentence(error)
    except (yaml.YAMLError, UnicodeEncodeError):
        problem = "the file is not YAML: there is a control or otherwise impossible character in it"
    raise ConfigError([Problem("", problem)])


def _built(text: str) -> tuple[object, list[Problem]]:
    loader = Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None, []
        return _constructed(loader, root)
    finally:
        loader.dispose()


def _constructed(loader: yaml.CSafeLoader | yaml.SafeLoader, root: yaml.Node) -> tuple[object, list[Problem]]:
    found = check(root, loader.construct_object)
    if found.fatal:
        raise ConfigError(found.fatal)
    return loader.construct_document(root), found.repeated


def _bounded_depth(text: str) -> None:
    """Stop before libyaml would run out of stack, which ends the process."""
    depth = 0
    for event in _events(text):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEEPEST} levels")


def _events(text: str) -> Iterator[yaml.Event]:
    return yaml.parse(text, Loader)


def _sentence(error: yaml.MarkedYAMLError) -> str:
    """Where and what, without the text of the file: a `*` or `!` before a secret makes an alias or a tag of it."""
    mark = error.problem_mark
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    told = ", ".join(part for part in (error.context, error.problem) if part)
    what = QUOTED.sub(lambda quoted: quoted[0] if len(quoted[0]) <= len("'x'") else "...", told)
    return f"the file is not YAML{where}: {what}"
