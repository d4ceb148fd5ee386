"""The words of docs/configuration.md about each section; what is in a model's place is told by the model."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel

from docs.source import words_of_feeds, words_of_reading
from docs.source.words_of_accounts import ACCOUNTS
from exporter.config.accounts import Account
from exporter.config.callbacks import Callbacks
from exporter.config.discovery import FileSdConfig, HttpSdConfig
from exporter.config.groups import StaticConfig
from exporter.config.push import Push
from exporter.config.schema import Lifecycle, Metrics, Polling, Problems
from exporter.config.state import Ha, State


class Section(NamedTuple):
    """A section of the file: its model, whether it is a list, what it is for, and each key's meaning and example.

    An example is YAML of the section; `beside` are keys without which the section would not be complete,
    `around` are sections without which the file would not be.
    """

    name: str
    model: type[BaseModel]
    intro: str
    keys: Mapping[str, tuple[str, str]]
    is_list: bool = False
    beside: str = ""
    around: str = ""


A_TARGET = "targets: [661e0000000000000000543c/Room1/Task1]"

SECTIONS = (
    Section(
        "accounts",
        Account,
        "Who calls the API. Left out, it is one account whose key is in the environment.",
        ACCOUNTS,
        is_list=True,
    ),
    Section(
        "static_configs",
        StaticConfig,
        "Targets written into the file. [Which feed to choose](targets.md#which-feed-to-choose).",
        words_of_feeds.STATIC,
        is_list=True,
        beside=A_TARGET,
    ),
    Section(
        "file_sd_configs",
        FileSdConfig,
        "Files of targets, in Prometheus's form: [targets.md](targets.md#files).",
        words_of_feeds.FILES,
        is_list=True,
        beside="files: [targets/*.yml]",
    ),
    Section(
        "http_sd_configs",
        HttpSdConfig,
        "URLs that answer with targets, in Prometheus's form: [targets.md](targets.md#a-url-of-your-backend).",
        words_of_feeds.URLS,
        is_list=True,
        beside="url: https://backend.example/webcast-targets",
    ),
    Section(
        "push",
        Push,
        "Backends that name their targets themselves: [targets.md](targets.md#pushing).",
        words_of_feeds.PUSH,
    ),
    Section(
        "callbacks",
        Callbacks,
        "What the vendor itself tells of tasks: [callbacks.md](callbacks.md).",
        words_of_feeds.CALLBACKS,
    ),
    Section(
        "polling",
        Polling,
        "How often a task is read. `plan` tells whether it fits: [operations.md](operations.md#sizing).",
        words_of_reading.POLLING,
    ),
    Section("lifecycle", Lifecycle, "How long things are kept.", words_of_reading.LIFECYCLE),
    Section(
        "metrics", Metrics, "Which series there are. All of them: [metrics.md](metrics.md).", words_of_reading.METRICS
    ),
    Section("problems", Problems, "When something is wrong with a task.", words_of_reading.PROBLEMS),
    Section(
        "state",
        State,
        "Where that is kept which outlives the process: runs, counters, pushed and called-back targets, page events.",
        words_of_reading.STATE,
    ),
    Section(
        "ha",
        Ha,
        "A standby; it needs a PostgreSQL as `state.url`: [scaling.md](scaling.md#a-standby).",
        words_of_reading.HA,
        around='state: {url: "postgresql+psycopg://db.example.com/webcast"}',
    ),
)
