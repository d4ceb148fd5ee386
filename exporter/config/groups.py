"""`static_configs`: targets written into the file itself."""

from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator

from exporter.config.fields import LIST, Section
from exporter.config.labels import label_name, label_value
from exporter.config.times import expected_times
from exporter.model.target import TargetId


def _target(raw: object) -> TargetId:
    """The target; the file is the user's own, so a bad one is an error here and not just a target less."""
    if isinstance(raw, str):
        return TargetId.parse(raw)
    raise ValueError("must be APP_ID/ROOM_ID/TASK_ID")


def _with_names(raw: object) -> object:
    """Each value beside its label's name: what a value may be depends on it."""
    if raw is None:
        return {}
    return {name: (name, value) for name, value in raw.items()} if isinstance(raw, dict) else raw


def _value(pair: object) -> str:
    name, value = cast("tuple[str, object]", pair)
    return label_value(name, value)


def _consistent(labels: dict[str, str]) -> dict[str, str]:
    expected_times(labels)
    return labels


TargetName = Annotated[TargetId, PlainValidator(_target), PlainSerializer(str)]
LabelName = Annotated[str, BeforeValidator(label_name)]
Labels = Annotated[
    dict[LabelName, Annotated[str, BeforeValidator(_value)]],
    BeforeValidator(_with_names),
    AfterValidator(_consistent),
]


class StaticConfig(Section):
    """Targets that share labels. `labels` are as written, `__*` included, the expected times as text."""

    targets: Annotated[tuple[TargetName, ...], LIST]
    labels: Labels = Field(default_factory=dict)
