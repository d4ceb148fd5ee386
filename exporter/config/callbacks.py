"""`callbacks`: what the vendor itself tells of tasks, over HTTP."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from exporter.config.durations import PositiveDuration
from exporter.config.fields import LIST, FilePath, Section, unique
from exporter.config.listening import parse_address
from exporter.config.texts import text


def _some(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words:
        raise ValueError("must name an EventType")
    return words


def _address(raw: object) -> str:
    address = text(raw)
    parse_address(address)
    return address


class Callbacks(Section):
    """`callbacks`: off without `secret_file`; `max_age` in seconds, both into the past and into the future."""

    secret_file: FilePath | None = None
    event_types: Annotated[
        tuple[Annotated[str, BeforeValidator(text)], ...], LIST, AfterValidator(_some), AfterValidator(unique())
    ] = ("Webcast", "UserJoinRoom", "UserLeaveRoom", "InvisibleUserLeaveRoom")
    max_age: PositiveDuration = 900.0
    listen_address: Annotated[str, BeforeValidator(_address)] | None = None
