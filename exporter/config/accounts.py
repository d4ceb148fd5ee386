"""`accounts`: who calls the API, with what, and how often."""

import math
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from exporter.config.addresses import endpoint_url
from exporter.config.durations import Duration
from exporter.config.fields import LIST, FilePath, ProxyUrl, Secret, Section, one_of_two, unique
from exporter.config.texts import matching
from exporter.model.target import ID_PATTERN

VENDOR_MAX_QPS: Final = 60
"""Calls a second of GetWebCastTask for one account, shared by all who call for it (seed page, notes)."""

SHORTEST_TIMEOUT: Final = 1.0

AccountName = Annotated[
    str,
    BeforeValidator(matching(r"[a-zA-Z0-9_.\-]{1,64}", "must be 1 to 64 of the characters a-z A-Z 0-9 _ . -")),
]
AppId = Annotated[
    str,
    BeforeValidator(matching(ID_PATTERN.pattern, "must be 1 to 128 of the characters a-z A-Z 0-9 _ @ - .")),
]
Region = Annotated[
    str,
    BeforeValidator(matching("[a-zA-Z0-9-]{1,64}", "must be a region such as cn-north-1")),
]


def _version(raw: object) -> object:
    """YAML reads an unquoted 2020-12-01 as a date; nothing else can have been meant."""
    return str(raw) if raw is not None else raw


def _timeout(seconds: float) -> float:
    if seconds < SHORTEST_TIMEOUT:
        raise ValueError("must be 1s or longer")
    return seconds


class TlsConfig(Section):
    """`tls_config`: which authority to trust instead of the usual ones."""

    ca_file: FilePath | None = None


class Account(Section):
    """One Volcengine account. `timeout` in seconds, `max_qps` in calls a second."""

    name: AccountName = "default"
    access_key_id: Secret | None = None
    access_key_id_file: FilePath | None = None
    secret_access_key: Secret | None = None
    secret_access_key_file: FilePath | None = None
    session_token: Secret | None = None
    session_token_file: FilePath | None = None
    endpoint: Annotated[str, BeforeValidator(endpoint_url)] = "https://rtc.volcengineapi.com"
    region: Region = "cn-north-1"
    api_version: Annotated[Literal["2020-12-01", "2023-11-01"], BeforeValidator(_version)] = "2020-12-01"
    max_qps: Annotated[float, Field(gt=0, lt=math.inf)] = 48.0
    timeout: Annotated[Duration, AfterValidator(_timeout)] = 5.0
    proxy_url: ProxyUrl | None = None
    tls_config: TlsConfig = TlsConfig()
    app_ids: Annotated[tuple[AppId, ...], LIST, AfterValidator(unique())] = ()

    @field_validator("access_key_id_file", "secret_access_key_file", "session_token_file")
    @classmethod
    def _one_of_two(cls, file: object, info: ValidationInfo) -> object:
        return one_of_two(file, info)
