"""The whole file as one frozen value, with the defaults of the contract (section 2)."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from exporter.config.accounts import Account
from exporter.config.callbacks import Callbacks
from exporter.config.discovery import FileSdConfig, HttpSdConfig
from exporter.config.durations import Duration, PositiveDuration
from exporter.config.fields import LIST, Section, nothing_means_none, unique
from exporter.config.groups import StaticConfig
from exporter.config.labels import RESERVED_PREFIX, label_name
from exporter.config.push import Push
from exporter.config.state import Ha, State
from exporter.model.callback import MAX_RECENT

INFO_BUILT_IN: Final = ("app_id", "room_id", "task_id", "account", "user_id", "source_host")
"""The labels that webcast_task_info always has (contract, section 4)."""

MetricGroup = Literal["monitor", "video", "event_notify"]


def _info_label(raw: object) -> str:
    name = label_name(raw)
    if name.startswith(RESERVED_PREFIX):
        raise ValueError("must not start with __: such labels are never shown")
    if name in INFO_BUILT_IN:
        raise ValueError("is a built-in label of webcast_task_info")
    return name


class Polling(Section):
    """`polling`, all in seconds: how often a task is read."""

    interval: PositiveDuration = 30.0
    fast_interval: PositiveDuration = 5.0
    max_backoff: PositiveDuration = 300.0
    stale_after: Duration = 120.0
    reread_stopped: PositiveDuration = 600.0


class Lifecycle(Section):
    """`lifecycle`, all in seconds: how long things are kept."""

    linger: Duration = 900.0
    drain: Duration = 1_800.0
    forget_unknown_after: PositiveDuration = 3_600.0
    history: PositiveDuration = 604_800.0


class Metrics(Section):
    """`metrics`: which series there are."""

    groups: Annotated[tuple[MetricGroup, ...], LIST, AfterValidator(unique())] = ("monitor", "video", "event_notify")
    info_labels: Annotated[
        tuple[Annotated[str, BeforeValidator(_info_label)], ...], LIST, AfterValidator(unique())
    ] = ()
    max_tasks: Annotated[int, Field(ge=0)] = 20_000


class Problems(Section):
    """`problems`: when something is wrong with a task."""

    start_grace: Annotated[
        Duration,
        Field(
            description="A class that has not started so long after its expected start is dark.",
            examples=["start_grace: 5m"],
        ),
    ] = 120.0
    not_found_grace: Annotated[
        Duration,
        Field(
            description="A class whose task the API does not know for so long is dark.",
            examples=["not_found_grace: 1m"],
        ),
    ] = 30.0
    early_end: Annotated[
        Duration,
        Field(
            description="A class that ends at most so long before its expected end is not early; a failure always is.",
            examples=["early_end: 5m"],
        ),
    ] = 600.0
    cut_margin: Annotated[
        Duration,
        Field(
            description="A class that its MaxRunningTime cuts at most so short will not be called cut.",
            examples=["cut_margin: 5m"],
        ),
    ] = 60.0
    overrun_grace: Annotated[
        Duration,
        Field(
            description="A task that runs so long after its expected end overruns.",
            examples=["overrun_grace: 30m"],
        ),
    ] = 900.0
    near_limit: Annotated[
        Duration,
        Field(
            description="A task without expected end is near its limit so long before it, but not before 90 % of it.",
            examples=["near_limit: 15m"],
        ),
    ] = 600.0
    not_started_after: Annotated[
        Duration,
        Field(
            description="A task without expected start that has not started for so long hangs.",
            examples=["not_started_after: 10m"],
        ),
    ] = 300.0
    status_unknown_after: Annotated[
        Duration,
        Field(
            description="An unknown status is a problem after so long.",
            examples=["status_unknown_after: 5m"],
        ),
    ] = 600.0
    not_found_after: Annotated[
        Duration,
        Field(
            description="A target that the API does not know is a problem after so long.",
            examples=["not_found_after: 1h"],
        ),
    ] = 300.0
    read_failing_after: Annotated[
        Duration,
        Field(
            description="Failing reads of a task are a problem after so long.",
            examples=["read_failing_after: 10m"],
        ),
    ] = 120.0
    page_window: Annotated[
        PositiveDuration,
        Field(
            description="Refreshes and reschedules of a page are counted over so long.",
            examples=["page_window: 10m"],
        ),
    ] = 900.0
    page_refreshes: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_RECENT,
            description="So many refreshes of a page within `page_window` are a problem.",
            examples=["page_refreshes: 5"],
        ),
    ] = 3
    page_reschedules: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_RECENT,
            description="So many reschedules of a task within `page_window` are a problem.",
            examples=["page_reschedules: 3"],
        ),
    ] = 2


def _some(accounts: tuple[Account, ...]) -> tuple[Account, ...]:
    if not accounts:
        raise ValueError("must hold an account, or be left out to take its credentials from the environment")
    return accounts


class Config(Section):
    """One configuration file."""

    accounts: Annotated[tuple[Account, ...], LIST, AfterValidator(_some)] = (Account(),)
    static_configs: Annotated[tuple[StaticConfig, ...], LIST, BeforeValidator(nothing_means_none)] = ()
    file_sd_configs: Annotated[tuple[FileSdConfig, ...], LIST, BeforeValidator(nothing_means_none)] = ()
    http_sd_configs: Annotated[tuple[HttpSdConfig, ...], LIST, BeforeValidator(nothing_means_none)] = ()
    push: Push = Push()
    callbacks: Callbacks = Callbacks()
    polling: Polling = Polling()
    lifecycle: Lifecycle = Lifecycle()
    metrics: Metrics = Metrics()
    problems: Problems = Problems()
    state: State = State()
    ha: Ha = Ha()
