"""The configuration in force as people may see it: YAML as they would write it, every secret as `<secret>`."""

from typing import Any, Final, get_args

import yaml
from pydantic import BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from exporter.config.durations import Duration, PositiveDuration, format_duration
from exporter.config.fields import Section
from exporter.model.target import TargetId

SECRET: Final = "<secret>"  # noqa: S105 - what stands for one

_DUMPER: Final[type[yaml.CSafeDumper | yaml.SafeDumper]] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml where PyYAML was built with it: ten times as fast."""

_OF_DURATIONS: Final = (*get_args(Duration), *get_args(PositiveDuration))


def shown(config: Section) -> str:
    """All of it, defaults included."""
    return str(yaml.dump(_mapping(config), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=1_000))


def _mapping(section: Section) -> dict[str, Any]:
    fields = type(section).model_fields
    return {name: _value(getattr(section, name), field) for name, field in fields.items()}


def _value(value: object, field: FieldInfo) -> Any:
    match value:
        case SecretStr():
            return SECRET
        case float() if _is_duration(field):
            return format_duration(value)
        case None | bool() | int() | float():
            return value
        case _:
            return _parts(value, field)


def _parts(value: object, field: FieldInfo) -> Any:
    match value:
        case Section():
            return _mapping(value)
        case dict():
            return {str(name): _value(each, field) for name, each in value.items()}
        case tuple() if not isinstance(value, TargetId):
            return [_value(each, field) for each in value]
        case _:
            return str(value)


def _is_duration(field: FieldInfo) -> bool:
    return any(isinstance(part, BeforeValidator) and part in _OF_DURATIONS for part in field.metadata)
