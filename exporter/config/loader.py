"""The configuration file: read and checked into a Config, or every problem at once; and written for people."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from exporter.config.checks import cross_field_problems, file_problems
from exporter.config.documents import FileFault, parse_yaml, read_text, step
from exporter.config.fields import FOLDER, Duration, PositiveDuration, Section
from exporter.config.schema import Config
from exporter.config.times import format_duration
from exporter.errors import ConfigError, Problem
from exporter.model.target import TargetId

MAX_CONFIG_FILE: Final = 10 * 1024 * 1024
"""Bytes; 20,000 static targets are under one MiB."""

REDACTED: Final = "<secret>"


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check one file; ConfigError holds all that is wrong.

    With `environ` the files that it names are checked too: credentials resolve, certificates and tokens are there.
    """
    try:
        text = read_text(path, MAX_CONFIG_FILE)
    except FileFault as fault:
        raise ConfigError([Problem("", f"{path} {fault}")]) from None
    config = parse_config(text, path.parent)
    if environ is not None and (problems := file_problems(config, environ)):
        raise ConfigError(problems)
    return config


def parse_config(text: str, folder: Path) -> Config:
    """Check the text of a file; relative paths in it start from `folder`. ConfigError holds all that is wrong."""
    document, repeated = parse_yaml(text)
    if document is None:
        raise ConfigError([Problem("", "the file is empty; the least it can say is `accounts: [{name: default}]`")])
    if not isinstance(document, dict):
        raise ConfigError([Problem("", f"the file {NOT_A_MAPPING}")])
    config, problems = None, repeated
    try:
        config = Config.model_validate(document, context={FOLDER: folder})
    except ValidationError as error:
        problems = [*repeated, *format_errors(error, Config)]
    problems = [*problems, *cross_field_problems(document)]
    if problems or config is None:
        raise ConfigError(problems)
    return config


# What pydantic found wrong, as places and sentences. No sentence repeats a value: it may be a secret.

KEY: Final = "[key]"
"""How pydantic marks that a mapping's key is wrong, not its value."""
NOT_A_MAPPING: Final = "must be a mapping of keys and values"
NOT_A_LIST: Final = "must be a list"

NOT_SUPPORTED: Final[Mapping[str, str]] = {
    "server_name": "is not supported: the certificate must be for the host of the url",
    "bearer_token": "is not supported: write authorization: {credentials: ...}",
    "bearer_token_file": "is not supported: write authorization: {credentials_file: ...}",
    "oauth2": "is not supported; use authorization or basic_auth",
    "no_proxy": "is not supported here: set $NO_PROXY, which counts while there is no proxy_url",
    "proxy_from_environment": "is not supported: without proxy_url the environment decides",
}
"""Keys that Prometheus has in these places, and what to do instead."""

SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is required",
    "value_error": lambda context: str(context["error"]),
    "model_type": lambda _: NOT_A_MAPPING,
    "dict_type": lambda _: NOT_A_MAPPING,
    "list_type": lambda _: NOT_A_LIST,
    "tuple_type": lambda _: NOT_A_LIST,
    "bool_type": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "greater_than": lambda context: f"must be more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']:g}",
    "less_than_equal": lambda context: f"must be at most {context['le']:g}",
    "less_than": lambda _: "must be a finite number",
    "literal_error": lambda context: f"must be one of {context['expected']}".replace("'", ""),
}


def format_errors(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return all problems of one validation of `model`, in the order of its fields."""
    return [
        Problem(
            reduce(step, (part for part in found["loc"] if part != KEY), ""),
            _sentence(found["type"], found.get("ctx", {}), found["loc"], model),
        )
        for found in error.errors(include_url=False, include_input=False)
    ]


def _sentence(kind: str, context: Mapping[str, Any], location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        *where, key = location
        return _unknown(str(key), keys_at(model, tuple(where)))
    write = SENTENCES.get(kind)
    return write(context) if write else f"is not usable ({kind.replace('_', ' ')})"


def _unknown(key: str, known: list[str]) -> str:
    if key in NOT_SUPPORTED:
        return NOT_SUPPORTED[key]
    close = get_close_matches(key, known, n=1)
    return f"is not a known key; did you mean {close[0]}?" if close else "is not a known key"


def keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the section at `path` may have."""
    for part in path:
        if isinstance(part, str):
            model = next(_sections(model.model_fields[part].annotation))
    return list(model.model_fields)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


# The configuration in force, for people

_DUMPER: Final[type[yaml.CSafeDumper | yaml.SafeDumper]] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_DURATION_CHECKS: Final = (*get_args(Duration), *get_args(PositiveDuration))


def redacted(config: Section) -> str:
    """Return the whole configuration as YAML, defaults included, every secret as `<secret>`."""
    return str(yaml.dump(_mapping(config), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=1_000))


def _mapping(section: Section) -> dict[str, Any]:
    return {name: _value(getattr(section, name), field) for name, field in type(section).model_fields.items()}


def _value(value: object, field: FieldInfo) -> Any:
    match value:
        case SecretStr():
            return REDACTED
        case float() if any(isinstance(part, BeforeValidator) and part in _DURATION_CHECKS for part in field.metadata):
            return format_duration(value)
        case None | bool() | int() | float() | Section():
            return _mapping(value) if isinstance(value, Section) else value
        case dict():
            return {str(name): _value(each, field) for name, each in value.items()}
        case tuple() if not isinstance(value, TargetId):
            return [_value(each, field) for each in value]
        case _:
            return str(value)
