"""The configuration file as one frozen value: every key with its default, its meaning and an example.

docs/configuration.md is made of these descriptions. An example is YAML of the section that has the key.
"""

import math
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from exporter.config.fields import (
    LIST,
    RESERVED_PREFIX,
    Bool,
    Duration,
    FilePath,
    Float,
    Int,
    ListenAddress,
    PositiveDuration,
    ProxyUrl,
    SDUrl,
    Secret,
    Section,
    StateUrl,
    Text,
    endpoint_url,
    key,
    label_name,
    matching,
    no_template,
    not_empty,
    nothing_means_none,
    sd_url,
    state_url,
    string,
    text,
    unique,
)
from exporter.config.times import EXPECTED, expected_times, parse_expected_time
from exporter.model.target import ID_PATTERN, TargetId
from exporter.model.task import MAX_RECENT

VENDOR_MAX_QPS: Final = 60
"""Calls a second of GetWebCastTask for one account, shared by all who call for it (API page, notes)."""

MIN_TIMEOUT: Final = 1.0

GLOB: Final = re.compile(r"[*?\[]")
SD_SUFFIXES: Final = (".yml", ".yaml", ".json")

INFO_BUILT_IN: Final = ("app_id", "room_id", "task_id", "account", "user_id", "source_host")
"""The labels that webcast_task_info always has."""


def _timeout(seconds: float) -> float:
    if seconds < MIN_TIMEOUT:
        raise ValueError("must be 1s or longer")
    return seconds


AccountName = Annotated[
    str, BeforeValidator(matching(r"[a-zA-Z0-9_.\-]{1,64}", "must be 1 to 64 of the characters a-z A-Z 0-9 _ . -"))
]
AppId = Annotated[
    str, BeforeValidator(matching(ID_PATTERN.pattern, "must be 1 to 128 of the characters a-z A-Z 0-9 _ @ - ."))
]
Region = Annotated[str, BeforeValidator(matching("[a-zA-Z0-9-]{1,64}", "must be a region such as cn-north-1"))]


class TlsConfig(Section):
    """`tls_config` of an account."""

    ca_file: FilePath | None = key(
        None, "An authority to trust instead of the usual ones, PEM.", "tls_config: {ca_file: company-ca.pem}"
    )


class Account(Section):
    """One Volcengine account. `timeout` in seconds, `max_qps` in calls a second."""

    name: AccountName = key(
        "default", "The label `account` of its metrics. Each account has a name of its own.", "school"
    )
    access_key_id: Secret | None = key(
        None, "The access key. Without any key here it is `$VOLC_ACCESSKEY`.", "AKLTexample"
    )
    access_key_id_file: FilePath | None = key(
        None,
        "A file that holds it. When one of an account's files changes, all are read again as one set. While one of "
        "them cannot be used, the last good set stays in force, and the log says so (`secret file not reloaded`).",
        "keys/ak",
    )
    secret_access_key: Secret | None = key(None, "Its secret, else `$VOLC_SECRETKEY`.", "made-up")
    secret_access_key_file: FilePath | None = key(None, "A file that holds it.", "keys/sk")
    session_token: Secret | None = key(
        None, "The token of a temporary key (STS), else `$VOLC_SESSION_TOKEN`.", "made-up"
    )
    session_token_file: FilePath | None = key(None, "A file that holds it.", "keys/token")
    endpoint: Annotated[str, BeforeValidator(endpoint_url)] = key(
        "https://rtc.volcengineapi.com",
        "Where the API is. `https` only; `http` for a simulator on this machine.",
        "https://open-ap-singapore-1.volcengineapi.com",
    )
    region: Region = key(
        "cn-north-1",
        "The region in the signature. The vendor spells Johor's as `ap-southeast-1` and `ap-singapore-1`.",
        "ap-singapore-1",
    )
    api_version: Annotated[Literal["2020-12-01", "2023-11-01"], BeforeValidator(string)] = key(
        "2020-12-01", "The API's version; the vendor documents the same answer for both.", '"2023-11-01"'
    )
    max_qps: Annotated[Float, Field(gt=0, lt=math.inf)] = key(
        48.0, "Most calls a second. The vendor allows an account 60, which your own services share.", "30"
    )
    timeout: Annotated[Duration, AfterValidator(_timeout)] = key(5.0, "For one call as a whole. At least `1s`.", "10s")
    proxy_url: ProxyUrl | None = key(
        None,
        "The proxy to the API, else `HTTPS_PROXY` and `NO_PROXY`. It may hold a user and a password.",
        "http://proxy.example:3128",
    )
    tls_config: TlsConfig = TlsConfig()
    app_ids: Annotated[tuple[AppId, ...], LIST, AfterValidator(unique)] = key(
        (),
        "The apps of this account. Needed with several accounts; `check --probe` asks for the first.",
        "[661e0000000000000000543c]",
    )


def label_value(name: str, value: object) -> str:
    """Return the text of one label as it is written, "" for none; ValueError with a sentence."""
    label = "" if value is None else string(value)
    if name in EXPECTED and label:
        parse_expected_time(label)
    return label


def _with_names(raw: object) -> object:
    """Put each value beside its label's name: what a value may be depends on it."""
    if raw is None:
        return {}
    return {name: (name, value) for name, value in raw.items()} if isinstance(raw, dict) else raw


def _consistent(labels: dict[str, str]) -> dict[str, str]:
    expected_times(labels)
    return labels


TargetName = Annotated[TargetId, PlainValidator(TargetId.parse), PlainSerializer(str)]
Labels = Annotated[
    dict[Annotated[str, BeforeValidator(label_name)], Annotated[str, BeforeValidator(lambda pair: label_value(*pair))]],
    BeforeValidator(_with_names),
    AfterValidator(_consistent),
]


class StaticConfig(Section):
    """Targets that share labels. `labels` are as written, `__*` included."""

    targets: Annotated[tuple[TargetName, ...], LIST] = key(
        ..., "The tasks, each by its three ids.", "[661e0000000000000000543c/Room1/Task1]"
    )
    labels: Labels = key(
        {},
        "Of all of them. `__*` are dropped but for [two](targets.md#when-a-class-is-meant-to-be).",
        '{team: edu, __expected_end__: "2026-11-22T09:30:00Z"}',
    )


def _pattern(raw: object) -> str:
    """Check a path as Prometheus has it: wildcards in the last part only, and a name that tells the format."""
    pattern = text(raw)
    *folders, name = pattern.split("/")
    if any(GLOB.search(folder) for folder in folders):
        raise ValueError("may have wildcards (* ? [) only after its last slash")
    if not name.lower().endswith(SD_SUFFIXES):
        raise ValueError("must end in .yml, .yaml or .json")
    return pattern


class FileSdConfig(Section):
    """Files of targets; `files` are paths whose last part may be a pattern, `refresh_interval` is in seconds."""

    files: Annotated[
        tuple[Annotated[FilePath, BeforeValidator(_pattern)], ...],
        LIST,
        AfterValidator(not_empty("must name a file or a pattern of files")),
        AfterValidator(unique),
    ] = key(
        ...,
        "Files or patterns, ending in `.yml`, `.yaml` or `.json`; wildcards only after the last slash.",
        "[targets/*.yml, more/classes.json]",
    )
    refresh_interval: PositiveDuration = key(30.0, "How often they are looked at.", "10s")


def _scheme(raw: object) -> str:
    scheme = matching(r"[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,64}", "must be one word, such as Bearer")(raw)
    if scheme.lower() == "basic":
        raise ValueError("must not be Basic: use basic_auth")
    return scheme


def _user_name(raw: object) -> str:
    name = text(raw)
    if ":" in name or not name.isprintable():
        raise ValueError("must be printable and have no colon in it")
    return name


class Authorization(Section):
    """`authorization`: the header `Authorization: TYPE CREDENTIALS`."""

    type: Annotated[str, BeforeValidator(_scheme)] = key(
        "Bearer",
        "The first word of the header `Authorization`.",
        "authorization: {type: Bearer, credentials_file: keys/token}",
    )
    credentials: Secret | None = key(None, "The rest of it.", "authorization: {credentials: made-up}")
    credentials_file: FilePath | None = key(
        None, "A file that holds it, read at each refresh.", "authorization: {credentials_file: keys/token}"
    )

    @model_validator(mode="after")
    def _some_credentials(self) -> Self:
        if self.credentials is None and self.credentials_file is None:
            raise ValueError("needs credentials or credentials_file")
        return self


class BasicAuth(Section):
    """`basic_auth`: user name and password, in UTF-8. White space around a file's password is not part of it."""

    username: Annotated[str, BeforeValidator(_user_name)] = key(
        ..., "User name; instead of `authorization`.", "basic_auth: {username: exporter, password_file: keys/password}"
    )
    password: Annotated[SecretStr, BeforeValidator(lambda raw: SecretStr(no_template(text(raw))))] | None = key(
        None, "The password.", "basic_auth: {username: exporter, password: made-up}"
    )
    password_file: FilePath | None = key(
        None,
        "A file that holds it, read at each refresh.",
        "basic_auth: {username: exporter, password_file: keys/password}",
    )


class SDTlsConfig(TlsConfig):
    """`tls_config` of http_sd_configs."""

    cert_file: FilePath | None = key(
        None, "The certificate to show, PEM.", "tls_config: {cert_file: client.pem, key_file: client.key}"
    )
    key_file: FilePath | None = key(None, "Its key.", "tls_config: {cert_file: client.pem, key_file: client.key}")
    insecure_skip_verify: Bool = key(
        default=False,
        description="Trust any certificate. Warned of: a machine in between could read and write the targets.",
        example="tls_config: {insecure_skip_verify: true}",
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("needs both cert_file and key_file, or none of them")
        return self

    @property
    def files(self) -> dict[str, Path]:
        """The files that are named, by their keys."""
        return {name: file for name in ("ca_file", "cert_file", "key_file") if (file := getattr(self, name))}


class HttpSdConfig(Section):
    """A URL that answers with a list of targets; `refresh_interval` in seconds."""

    url: Annotated[SDUrl, PlainValidator(sd_url), PlainSerializer(str)] = key(
        ...,
        "What is asked with GET. No `user:password@` in it; its query is shown as `<secret>`.",
        "https://backend.example/webcast-targets?region=cn",
    )
    refresh_interval: PositiveDuration = key(30.0, "How often it is asked.", "10s")
    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: SDTlsConfig = SDTlsConfig()
    proxy_url: ProxyUrl | None = key(
        None,
        "The proxy to it, else `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`; never for a loopback host.",
        "http://proxy.example:3128",
    )
    follow_redirects: Bool = key(
        default=True, description="At most 5; credentials go to no other server.", example="false"
    )

    @field_validator("basic_auth")
    @classmethod
    def _one_login(cls, given: BasicAuth | None, info: ValidationInfo) -> BasicAuth | None:
        if given and info.data.get("authorization"):
            raise ValueError("excludes authorization: give one of the two")
        return given


class Push(Section):
    """`push`: off without `token_file`; `ttl` in seconds."""

    token_file: FilePath | None = key(
        None,
        "Tokens, one a line; each is accepted, so that tokens can be replaced. Without it pushing is off.",
        "keys/push-tokens",
    )
    ttl: PositiveDuration = key(
        93_600.0, "How long a target that is not live stays after a push or a callback last named it.", "12h"
    )


class Callbacks(Section):
    """`callbacks`: off without `secret_file`; `max_age` in seconds, both into the past and into the future."""

    secret_file: FilePath | None = key(
        None,
        "The secrets of the console, one a line; any may fit. Without it callbacks are off.",
        "keys/callback-secrets",
    )
    event_types: Annotated[
        tuple[Text, ...], LIST, AfterValidator(not_empty("must name an EventType")), AfterValidator(unique)
    ] = key(
        ("Webcast", "UserJoinRoom", "UserLeaveRoom", "InvisibleUserLeaveRoom"),
        "The EventTypes that count, in any case. `Webcast` is a guess; the room events are documented.",
        "[Webcast, WebcastTask]",
    )
    max_age: PositiveDuration = key(
        900.0, "An event whose time is further from now than this, either way, is stale.", "5m"
    )
    listen_address: ListenAddress | None = key(
        None, "A listener of its own that serves `/callback` alone, for the open internet.", '":10961"'
    )


class Polling(Section):
    """`polling`, all in seconds: how often a task is read."""

    interval: PositiveDuration = key(30.0, "Between two reads of a running task.", "1m")
    fast_interval: PositiveDuration = key(
        5.0, "Of a task that has not started, is unknown (first 10 min), or is within 1 min of its limit.", "10s"
    )
    max_backoff: PositiveDuration = key(
        300.0,
        "The longest wait of a target, app or account whose reads are refused; a target waits at least `interval`.",
        "2m",
    )
    stale_after: Duration = key(
        120.0, "State series go when no read succeeded for so long, or for 3 times the interval in force.", "5m"
    )
    reread_stopped: PositiveDuration = key(
        600.0, "Of a stopped task that is still listed, to see a new run; at most a tenth of the budget.", "30m"
    )


class Lifecycle(Section):
    """`lifecycle`, all in seconds: how long things are kept."""

    linger: Duration = key(900.0, "A stopped task's series stay so long after its end was seen.", "30m")
    drain: Duration = key(1_800.0, "A live run that no source lists any more is read on for at most so long.", "1h")
    forget_unknown_after: PositiveDuration = key(
        3_600.0, "A target the API never knew: a pushed or called-back one goes then, others are read so rarely.", "2h"
    )
    history: PositiveDuration = key(604_800.0, "Stopped runs are kept in the state for so long.", "30d")


def _info_label(raw: object) -> str:
    name = label_name(raw)
    if name.startswith(RESERVED_PREFIX):
        raise ValueError("must not start with __: such labels are never shown")
    if name in INFO_BUILT_IN:
        raise ValueError("is a built-in label of webcast_task_info")
    return name


MetricGroup = Annotated[Literal["monitor", "video", "event_notify"], BeforeValidator(string)]


class Metrics(Section):
    """`metrics`: which series there are."""

    groups: Annotated[tuple[MetricGroup, ...], LIST, AfterValidator(unique)] = key(
        ("monitor", "video", "event_notify"),
        "Per-task series beside the core ones, which are always there.",
        "[monitor]",
    )
    info_labels: Annotated[tuple[Annotated[str, BeforeValidator(_info_label)], ...], LIST, AfterValidator(unique)] = (
        key((), "Target labels that are let onto `webcast_task_info`.", "[team, page]")
    )
    max_tasks: Annotated[Int, Field(ge=0)] = key(
        20_000,
        "Tasks with series; all are read. Failed and running ones stay, the longest stopped go first; 0 = none.",
        "5000",
    )


class Problems(Section):
    """`problems`: when something is wrong with a task."""

    start_grace: Duration = key(120.0, "A class that has not started so long after its expected start is dark.", "5m")
    not_found_grace: Duration = key(30.0, "A class whose task the API does not know for so long is dark.", "1m")
    early_end: Duration = key(
        600.0, "A class that ends at most so long before its expected end is not early; a failure always is.", "5m"
    )
    cut_margin: Duration = key(
        60.0, "A class that its MaxRunningTime cuts at most so short will not be called cut.", "5m"
    )
    overrun_grace: Duration = key(900.0, "A task that runs so long after its expected end overruns.", "30m")
    near_limit: Duration = key(
        600.0, "A task without expected end is near its limit so long before it, but not before 90 % of it.", "15m"
    )
    not_started_after: Duration = key(
        300.0, "A task without expected start that has not started for so long hangs.", "10m"
    )
    status_unknown_after: Duration = key(600.0, "An unknown status is a problem after so long.", "5m")
    not_found_after: Duration = key(300.0, "A target that the API does not know is a problem after so long.", "1h")
    read_failing_after: Duration = key(120.0, "Failing reads of a task are a problem after so long.", "10m")
    page_window: PositiveDuration = key(900.0, "Refreshes and reschedules of a page are counted over so long.", "10m")
    page_refreshes: Annotated[Int, Field(ge=1, le=MAX_RECENT)] = key(
        3, "So many refreshes of a page within `page_window` are a problem.", "5"
    )
    page_reschedules: Annotated[Int, Field(ge=1, le=MAX_RECENT)] = key(
        2, "So many reschedules of a task within `page_window` are a problem.", "3"
    )


class State(Section):
    """`state`: what outlives the process."""

    url: Annotated[StateUrl, PlainValidator(state_url), PlainSerializer(str)] = key(
        StateUrl("sqlite:///webcast-exporter.db"),
        "From the working directory; four slashes for an absolute path. `sqlite://` = memory: a restart forgets. "
        "`postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`: [PostgreSQL](operations.md#a-state-in-postgresql).",
        "sqlite:////var/lib/webcast-exporter/state.db",
    )


class Ha(Section):
    """`ha`: several processes over one state, of which one reads."""

    enabled: Bool = key(
        default=False,
        description="Several processes over one PostgreSQL: one reads, the others stand by.",
        example="true",
    )


class Config(Section):
    """One configuration file."""

    accounts: Annotated[
        tuple[Account, ...],
        LIST,
        AfterValidator(not_empty("must hold an account, or be left out to take its credentials from the environment")),
    ] = key((Account(),), "Who calls the API. Left out, it is one account whose key is in the environment.")
    static_configs: Annotated[tuple[StaticConfig, ...], LIST, BeforeValidator(nothing_means_none)] = key(
        (), "Targets written into the file. [Which source to choose](targets.md#which-source-to-choose)."
    )
    file_sd_configs: Annotated[tuple[FileSdConfig, ...], LIST, BeforeValidator(nothing_means_none)] = key(
        (), "Files of targets, in Prometheus's form: [targets.md](targets.md#files)."
    )
    http_sd_configs: Annotated[tuple[HttpSdConfig, ...], LIST, BeforeValidator(nothing_means_none)] = key(
        (), "URLs that answer with targets, in Prometheus's form: [targets.md](targets.md#a-url-of-your-backend)."
    )
    push: Push = key(Push(), "Backends that push their targets: [targets.md](targets.md#pushing).")
    callbacks: Callbacks = key(Callbacks(), "Events that the vendor sends: [callbacks.md](callbacks.md).")
    polling: Polling = key(
        Polling(), "How often a task is read. `plan` tells whether it fits: [operations.md](operations.md#sizing)."
    )
    lifecycle: Lifecycle = key(Lifecycle(), "How long things are kept.")
    metrics: Metrics = key(Metrics(), "Which series there are. All of them: [metrics.md](metrics.md).")
    problems: Problems = key(Problems(), "When something is wrong with a task.")
    state: State = key(
        State(), "What outlives the process: runs, counters, pushed and called-back targets, page events."
    )
    ha: Ha = key(Ha(), "A standby; it needs a PostgreSQL as `state.url`: [scaling.md](scaling.md#a-standby).")
