"""Rules over several parts of the file.

They read the raw document, so that they are told together with whatever is wrong in its parts; what has not the right
shape is left to the schema.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from exporter.config.accounts import VENDOR_MAX_QPS, Account
from exporter.config.files import FileFault
from exporter.config.schema import Config
from exporter.config.secret_lines import SHORT, lines_in, secret_files
from exporter.config.state import POSTGRESQL_PREFIX
from exporter.errors import Problem

FROM_HERE = "a relative path starts from the folder of the configuration file"
DEFAULT_NAME: str = Account.model_fields["name"].default


def across(document: Mapping[str, Any]) -> list[Problem]:
    """What is wrong between parts: names and apps must be one account's only, and a standby shares its state."""
    accounts = [_mapping(account) for account in _list(document.get("accounts"))]
    return [*_names(accounts), *_apps(accounts), *_alone(document)]


def _alone(document: Mapping[str, Any]) -> Iterator[Problem]:
    url = _mapping(document.get("state")).get("url")
    shared = isinstance(url, str) and url.startswith(POSTGRESQL_PREFIX)
    if _mapping(document.get("ha")).get("enabled") is True and not shared:
        yield Problem("ha.enabled", f"needs a state that others can reach: state.url: {POSTGRESQL_PREFIX}HOST/DATABASE")


def _names(accounts: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, account in enumerate(accounts):
        name = account.get("name", DEFAULT_NAME)
        if not isinstance(name, str):
            continue
        if name in first:
            yield Problem(f"accounts[{index}].name", f"is the name of accounts[{first[name]}] too")
        first.setdefault(name, index)


def _apps(accounts: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    holder: dict[str, int] = {}
    for index, account in enumerate(accounts):
        apps = account.get("app_ids")
        if not apps and len(accounts) > 1:
            yield Problem(f"accounts[{index}].app_ids", "is required with several accounts: say which apps are its own")
        for place, app in enumerate(_list(apps)):
            if isinstance(app, str) and holder.setdefault(app, index) != index:
                yield Problem(f"accounts[{index}].app_ids[{place}]", f"is an app of accounts[{holder[app]}] too")


def _mapping(raw: object) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: object) -> Sequence[Any]:
    return raw if isinstance(raw, list) else ()


def warnings(config: Config) -> list[str]:
    """What can be served but was hardly meant, each as `path: sentence`."""
    rules = (_over_quota, _slower_than_slow, _trusting, _guessable, _without_effect, _without_files)
    return [str(problem) for rule in rules for problem in rule(config)]


def _over_quota(config: Config) -> Iterator[Problem]:
    for index, account in enumerate(config.accounts):
        if account.max_qps > VENDOR_MAX_QPS:
            yield Problem(
                f"accounts[{index}].max_qps",
                f"is more than the {VENDOR_MAX_QPS} calls a second that the vendor allows one account",
            )


def _slower_than_slow(config: Config) -> Iterator[Problem]:
    if config.polling.fast_interval > config.polling.interval:
        yield Problem("polling.fast_interval", "is longer than polling.interval")


def _trusting(config: Config) -> Iterator[Problem]:
    for index, feed in enumerate(config.http_sd_configs):
        if feed.tls_config.insecure_skip_verify:
            yield Problem(
                f"http_sd_configs[{index}].tls_config.insecure_skip_verify",
                "trusts any certificate: who stands in between can read the credentials and write the targets",
            )


def _guessable(config: Config) -> Iterator[Problem]:
    for key, file in secret_files(config).items():
        with suppress(FileFault):  # the load tells of that
            if any(len(line) < SHORT for line in lines_in(file, key.noun)):
                yield Problem(key.place, f"holds a {key.noun} of fewer than {SHORT} characters, which can be guessed")


def _without_files(config: Config) -> Iterator[Problem]:
    for index, feed in enumerate(config.file_sd_configs):
        for place, pattern in enumerate(feed.files):
            if not any(pattern.parent.glob(pattern.name)):
                yield Problem(
                    f"file_sd_configs[{index}].files[{place}]",
                    f"names no file now in {pattern.parent.absolute()}: {FROM_HERE}",
                )


def _without_effect(config: Config) -> Iterator[Problem]:
    if config.callbacks.listen_address and not config.callbacks.secret_file:
        yield Problem("callbacks.listen_address", "has no effect without callbacks.secret_file")
