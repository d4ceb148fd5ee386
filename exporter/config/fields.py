"""What the sections are made of: their base, and the field types that several of them share."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo, model_validator

from exporter.config.addresses import proxy_with_password
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


def _proxy(raw: object) -> SecretStr:
    return SecretStr(proxy_with_password(raw))


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


def one_of_two(file: object, info: ValidationInfo) -> object:
    """A check that a `*_file` key does not stand beside the key that gives the same inline."""
    inline = (info.field_name or "").removesuffix("_file")
    if file is not None and info.data.get(inline) is not None:
        raise ValueError(f"excludes {inline}: give one of the two")
    return file


def nothing_means_none(raw: object) -> object:
    """A list's key with nothing after it is an empty list, as it is to Prometheus."""
    return () if raw is None else raw


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
"""One line that no repr shows."""

ProxyUrl = Annotated[SecretStr, BeforeValidator(_proxy)]
"""A proxy's URL, which may hold a password."""

FilePath = Annotated[Path, BeforeValidator(_path)]
"""A file; a relative one is taken from the folder of the file that names it."""

LIST = Field(strict=False)
"""Marks a tuple that is a list in the file."""
