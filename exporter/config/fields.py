"""What the sections are made of: their base, and the field types that several of them share."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo, model_validator

from exporter.config.texts import one_line, text

FOLDER = "folder"
"""The key of the validation context that holds the folder relative paths start from."""

Items = TypeVar("Items", bound=Sequence[Hashable])


class Section(BaseModel):
    """A mapping of the file. A key with nothing after it means the defaults, as it does to Prometheus."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, raw: object) -> object:
        return {} if raw is None else raw


def _secret(raw: object) -> SecretStr:
    return SecretStr(one_line(text(raw)))


def _path(raw: object, info: ValidationInfo) -> Path:
    name = text(raw)
    if "\0" in name:
        raise ValueError("must be a file name")
    folder: Path = (info.context or {}).get(FOLDER, Path())
    return folder / name


def unique(write: Callable[[Hashable], str] = str) -> Callable[[Items], Items]:
    """A check that a list names nothing twice; `write` is how its sentence writes an element."""

    def check(values: Items) -> Items:
        seen: set[Hashable] = set()
        for value in values:
            if value in seen:
                raise ValueError(f"names {write(value)} twice")
            seen.add(value)
        return values

    return check


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
"""One line that no repr shows."""

FilePath = Annotated[Path, BeforeValidator(_path)]
"""A file; a relative one is taken from the folder of the file that names it."""

LIST = Field(strict=False)
"""Marks a tuple that is a list in the file."""
