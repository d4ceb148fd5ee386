"""What pydantic found wrong, as places and plain sentences. No sentence repeats a value: it may be a secret."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from exporter.config.paths import spell
from exporter.errors import Problem

KEY = "[key]"
"""How pydantic marks that a mapping's key is wrong, not its value."""

TaskCountKey = tuple[str | int, ...]

NOT_A_MAPPING = "must be a mapping of keys and values"
NOT_A_LIST = "must be a list"

NOT_HERE: Mapping[str, str] = {
    "server_name": "is not supported: the certificate must be for the host of the url",
    "bearer_token": "is not supported: write authorization: {credentials: ...}",
    "bearer_token_file": "is not supported: write authorization: {credentials_file: ...}",
    "oauth2": "is not supported; use authorization or basic_auth",
    "no_proxy": "is not supported here: set $NO_PROXY, which counts while there is no proxy_url",
    "proxy_from_environment": "is not supported: without proxy_url the environment decides",
}
"""Keys that Prometheus has in these places, and what to do instead."""

SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
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
    "less_than": lambda _: "must be a finite number",
    "literal_error": lambda context: f"must be one of {context['expected']}".replace("'", ""),
}


def translated(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """All problems of one validation of `model`, in the order of its fields."""
    return [
        Problem(spell(part for part in found["loc"] if part != KEY), _sentence(dict(found), model))
        for found in error.errors(include_url=False, include_input=False)
    ]


def _sentence(found: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind: str = found["type"]
    if kind == "extra_forbidden":
        *where, key = found["loc"]
        return _unknown(key, keys_at(model, tuple(where)))
    write = SENTENCES.get(kind)
    return write(found.get("ctx", {})) if write else f"is not usable ({kind.replace('_', ' ')})"


def _unknown(key: str, known: list[str]) -> str:
    if key in NOT_HERE:
        return NOT_HERE[key]
    close = get_close_matches(key, known, n=1)
    return f"is not a known key; did you mean {close[0]}?" if close else "is not a known key"


def keys_at(model: type[BaseModel], place: TaskCountKey) -> list[str]:
    """The keys that the section at `place` may have."""
    for part in place:
        if isinstance(part, str):
            model = next(_sections(model.model_fields[part].annotation))
    return list(model.model_fields)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)
