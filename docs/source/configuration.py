"""Write docs/configuration.md: the whole file at a glance, then each section key by key (`make docs`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from exporter.config.fields import Duration, PositiveDuration, ProxyUrl, SDUrl, StateUrl
from exporter.config.schema import Config
from exporter.config.times import format_duration
from exporter.model.target import TargetId

DOCUMENT = Path(__file__).parent.parent / "configuration.md"

INTRODUCTION = """\
# Configuration

Made by `make docs` from the models in exporter/config/schema.py.

The configuration is one YAML file; the example has every section. Unknown keys are errors. Problems are
reported at once, each with its path, up to 100: run `webcast-exporter check --config.file FILE`, which also warns of
secret files that every user of the machine can read. Durations are written as in Prometheus: `30s`, `1h30m`. Relative
paths start from the folder of the file, `state.url` from the working directory.

A text is read as it is written, with or without quotes: `name: 123`, `team: yes`. Variables and templates
are not replaced: `${NAME}`, `{{ name }}` and `<placeholder>` are errors. A secret file holds only the value, without
quotes and without a name.

```yaml
accounts:
  - name: school
    access_key_id_file: keys/ak
    secret_access_key_file: keys/sk
    app_ids: [661e0000000000000000543c]
    max_qps: 48
static_configs:
  - targets: [661e0000000000000000543c/Room1/Task1]
    labels: {team: edu, __expected_start__: "2026-11-22T08:00:00Z", __expected_end__: "2026-11-22T09:30:00Z"}
file_sd_configs:
  - files: [targets/*.yml, targets/*.json]
http_sd_configs:
  - url: https://backend.example/webcast-targets
    authorization: {credentials_file: keys/feed-token}
push:
  token_file: keys/push-tokens
callbacks:
  secret_file: keys/callback-secrets
polling:
  interval: 30s
lifecycle:
  linger: 15m
metrics:
  info_labels: [team]
problems:
  overrun_grace: 15m
state:
  url: sqlite:///webcast-exporter.db
ha:
  enabled: false
```

TLS, client certificates, passwords and headers of the exporter's own port are not here: they are in
[the web config file](web-config.md).
"""
HEADS = ("Key", "Value", "Default", "Meaning", "Example")

# By the check that is on the key.
ANY_DURATION, NOT_ZERO, PROXY = (get_args(each)[1] for each in (Duration, PositiveDuration, ProxyUrl))
SPECIAL = {NOT_ZERO: "duration, not zero", ANY_DURATION: "duration", PROXY: "URL, a secret"}

WORDS: dict[Any, str] = {
    Path: "file",
    SecretStr: "secret",
    SDUrl: "URL",
    StateUrl: "URL",
    TargetId: "`APP/ROOM/TASK`",
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    dict: "labels and their values",
}


class Row(NamedTuple):
    """One key of a section, `tls_config.ca_file` for one of a nested section; `default` is empty when there is none."""

    key: str
    value: str
    default: str
    meaning: str
    example: str


def reference() -> str:
    """Return the whole document."""
    return "\n".join([INTRODUCTION, *(line for name in Config.model_fields for line in _section(name))])


def model_of(section: str) -> tuple[type[BaseModel], bool]:
    """Return the model of a section of the file, and whether the section is a list of it."""
    annotation: Any = Config.model_fields[section].annotation
    is_list = get_origin(annotation) is tuple
    return (get_args(annotation)[0] if is_list else annotation), is_list


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Yield every key of a section, in the order of the file."""
    for name, field in model.model_fields.items():
        (annotation,) = _alternatives(field.annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from rows(annotation, f"{prefix}{name}.")
            continue
        example = str((field.examples or [""])[0])
        example = example if prefix else f"{name}: {example}"
        value = _value(field.annotation, tuple(field.metadata))
        yield Row(prefix + name, value, _default(field), field.description or "", example)


def _section(name: str) -> Iterator[str]:
    model, is_list = model_of(name)
    listed = " A list; the keys are those of one element." if is_list else ""
    yield f"## {name}\n"
    yield f"{Config.model_fields[name].description}{listed}\n"
    yield f"| {' | '.join(HEADS)} |"
    yield f"|{' --- |' * len(HEADS)}"
    for row in rows(model):
        yield f"| `{row.key}` | {row.value} | {row.default} | {row.meaning} | `{row.example}` |"
    yield ""


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the types of `A | B`, without None."""
    union = type(annotation) is type(int | None) or str(get_origin(annotation)) == "typing.Union"
    return tuple(each for each in get_args(annotation) if each is not type(None)) if union else (annotation,)


def _value(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """Return what the key may be, in words."""
    (annotation,) = _alternatives(annotation)
    if hasattr(annotation, "__metadata__"):
        return _value(get_args(annotation)[0], (*annotation.__metadata__, *metadata))
    special = next((words for mark, words in SPECIAL.items() if mark in metadata), None)
    return special or _plain(annotation)


def _plain(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    if origin is tuple:
        value = _value(get_args(annotation)[0])
        return f"list of {value if value.endswith('`') else value + 's'}"
    return WORDS[origin or annotation]


def _default(field: FieldInfo) -> str:
    """Return the default as the file would have it."""
    if field.is_required():
        return "required"
    given = field.get_default(call_default_factory=True)
    duration = {ANY_DURATION, NOT_ZERO} & set(field.metadata)
    write = format_duration if duration else _written
    return "" if given is None else f"`{write(given)}`"


def _written(given: Any) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, tuple):
        return f"[{', '.join(given)}]"
    return f"{given:g}" if isinstance(given, float) else str(given)


if __name__ == "__main__":
    DOCUMENT.write_text(reference(), encoding="utf-8")
