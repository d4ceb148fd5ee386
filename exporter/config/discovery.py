"""`file_sd_configs` and `http_sd_configs`: where lists of targets are found, in Prometheus's own keys."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator

from exporter.config.addresses import feed_url
from exporter.config.durations import PositiveDuration
from exporter.config.fields import LIST, FilePath, Section, unique
from exporter.config.http_client import HttpClient
from exporter.config.texts import text

GLOB: Final = re.compile(r"[*?\[]")
SUFFIXES: Final = (".yml", ".yaml", ".json")


def _pattern(raw: object) -> str:
    """As Prometheus has it: wildcards in the last part of the path only, and a name that tells the format."""
    pattern = text(raw)
    *folders, name = pattern.split("/")
    if any(GLOB.search(folder) for folder in folders):
        raise ValueError("may have wildcards (* ? [) only after its last slash")
    if not name.lower().endswith(SUFFIXES):
        raise ValueError("must end in .yml, .yaml or .json")
    return pattern


def _some(files: tuple[Path, ...]) -> tuple[Path, ...]:
    if not files:
        raise ValueError("must name a file or a pattern of files")
    return files


@dataclass(frozen=True, slots=True, repr=False)
class FeedUrl:
    """A feed's URL. Its query may hold a secret: `whole` is for sending, `str()` is for people."""

    whole: str

    def __str__(self) -> str:
        """The URL as far as it may be shown."""
        address, has_query, _ = self.whole.partition("?")
        return f"{address}?<secret>" if has_query else address

    def __repr__(self) -> str:
        """The same, as all of a configuration may end up in a log."""
        return f"FeedUrl({str(self)!r})"


def _url(raw: object) -> FeedUrl:
    return FeedUrl(feed_url(raw))


class FileSdConfig(Section):
    """Files of targets; `files` are paths whose last part may be a pattern, `refresh_interval` is in seconds."""

    files: Annotated[
        tuple[Annotated[FilePath, BeforeValidator(_pattern)], ...],
        LIST,
        AfterValidator(_some),
        AfterValidator(unique()),
    ]
    refresh_interval: PositiveDuration = 30.0


class HttpSdConfig(HttpClient):
    """A URL that answers with a list of targets; `refresh_interval` in seconds."""

    url: Annotated[FeedUrl, PlainValidator(_url), PlainSerializer(str)]
    refresh_interval: PositiveDuration = 30.0
