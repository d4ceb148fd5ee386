"""The configuration file: read and checked into a Config, or every problem at once; and written for people.

Checks beside the schema: between sections, of the files that are named, and what is only warned of.
"""

import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from exporter.config.credentials import MAX_CERTIFICATE_FILE, read_tokens, resolve, token_files, unusable_files
from exporter.config.documents import FileFault, first_problems, parse_yaml, read_text, step, typed
from exporter.config.fields import FOLDER, POSTGRESQL_PREFIX, Duration, PositiveDuration, SDUrl, Section, StateUrl
from exporter.config.schema import VENDOR_MAX_QPS, Account, Config
from exporter.config.times import format_duration
from exporter.errors import ConfigError, Problem
from exporter.model.target import TargetId

MAX_CONFIG_FILE: Final = 10 * 1024 * 1024
"""Bytes; 20,000 static targets are under one MiB."""

REDACTED: Final = "<secret>"
DEFAULT_NAME: Final[str] = Account.model_fields["name"].default
CERTIFICATE_FILES: Final = ("ca_file", "cert_file")
"""Keys of files that hold no secret; all others that name one file do."""
SHORT_TOKEN: Final = 16
"""Characters; a shorter one can be guessed."""


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check one file; ConfigError holds all that is wrong.

    With `environ` the files that it names are checked too: credentials resolve, certificates and tokens are there.
    """
    try:
        text = read_text(path, MAX_CONFIG_FILE)
    except FileFault as fault:
        raise ConfigError([Problem("", f"{path} {fault}")]) from None
    config = parse_config(text, path.parent)
    if environ is not None and (problems := [*file_problems(config, environ)]):
        raise ConfigError(problems)
    return config


def parse_config(text: str, folder: Path) -> Config:
    """Check the text of a file; relative paths in it start from `folder`. ConfigError holds all that is wrong."""
    document, repeated = parse_yaml(text)
    if document is None:
        raise ConfigError([Problem("", "the file is empty; the least it can say is `accounts: [{name: default}]`")])
    if not isinstance(document, dict):
        raise ConfigError([Problem("", f"the file {NOT_A_MAPPING}")])
    config, problems = None, repeated
    try:
        config = Config.model_validate(document, context={FOLDER: folder})
    except ValidationError as error:
        problems = [*repeated, *format_errors(error, Config)]
    problems = [*problems, *cross_field_problems(document)]
    if problems or config is None:
        raise ConfigError(first_problems(problems))
    return config


# Over several sections: they read the raw document, so that their problems are listed with those of its parts


def cross_field_problems(document: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong between parts; what has not the right shape is left to the schema."""
    accounts = [_mapping(account) for account in _list(document.get("accounts"))]
    return [*_repeated_names(accounts), *_apps(accounts), *_unshared_state(document)]


def _unshared_state(document: Mapping[str, Any]) -> Iterator[Problem]:
    url = _mapping(document.get("state")).get("url")
    shared = isinstance(url, str) and url.startswith(POSTGRESQL_PREFIX)
    if typed(_mapping(document.get("ha")).get("enabled")) is True and not shared:
        yield Problem("ha.enabled", f"needs a state that others can reach: state.url: {POSTGRESQL_PREFIX}HOST/DATABASE")


def _repeated_names(accounts: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
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


# Of the files that are named


def file_problems(config: Config, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what keeps the exporter from calling, discovering or being called: secrets and certificates."""
    for index, account in enumerate(config.accounts):
        place = f"accounts[{index}]"
        try:
            resolve(account, environ, place)
        except ConfigError as error:
            yield from error.problems
        if account.tls_config.ca_file:
            try:
                read_text(account.tls_config.ca_file, MAX_CERTIFICATE_FILE)
            except FileFault as fault:
                yield Problem(f"{place}.tls_config.ca_file", f"the file {fault}")
    for index, section in enumerate(config.http_sd_configs):
        for problem in unusable_files(section):
            yield Problem(f"http_sd_configs[{index}].{problem.path}", problem.sentence)
    for key, file in token_files(config).items():
        try:
            read_tokens(file, key.noun)
        except FileFault as fault:
            yield Problem(key.place, f"the file {fault}")


# Permissions


def secret_files(config: Config) -> dict[str, Path]:
    """Return the files that the configuration names for their secrets, by the places that name them."""
    return {
        place: value
        for place, key, value in _values(config)
        if isinstance(value, Path) and key not in CERTIFICATE_FILES
    }


def holds_secrets(config: Config) -> bool:
    """Whether the configuration file has a secret in itself: also in a proxy's, a list's or the state's URL."""
    return any(_is_secret(key, value) for _, key, value in _values(config))


def _values(section: Section, path: str = "") -> Iterator[tuple[str, str, object]]:
    """Yield each value of a section and of those in it, with its path and its key."""
    for key in type(section).model_fields:
        value, place = getattr(section, key), step(path, key)
        if isinstance(value, Section):
            yield from _values(value, place)
        elif isinstance(value, tuple) and value and isinstance(value[0], Section):
            for index, each in enumerate(value):
                yield from _values(each, step(place, index))
        else:
            yield place, key, value


def _is_secret(key: str, value: object) -> bool:
    match value:
        case SecretStr():
            return key != "proxy_url" or "@" in value.get_secret_value()
        case SDUrl():
            return "?" in value.whole
        case StateUrl():
            return value.is_shared and bool(value.parts["password"])
    return False


def readable_by_all(files: Mapping[str, Path]) -> list[Problem]:
    """Return those of the files that every user of the machine can read, by their places."""
    return [
        Problem(place, f"its mode {stat.S_IMODE(mode):04o} lets every user of this machine read the file; chmod o-r it")
        for place, file in files.items()
        if (mode := _mode(file)) & stat.S_IROTH
    ]


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except (OSError, ValueError):
        return 0


# Warnings


def warnings(config: Config) -> list[str]:
    """Return what can be served but was hardly meant, each as `path: sentence`."""
    rules = (_over_quota, _slower_than_slow, _any_certificate, _short_tokens, _without_effect, _without_files)
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


def _any_certificate(config: Config) -> Iterator[Problem]:
    for index, section in enumerate(config.http_sd_configs):
        if section.tls_config.insecure_skip_verify:
            yield Problem(
                f"http_sd_configs[{index}].tls_config.insecure_skip_verify",
                "trusts any certificate: a machine in between can read the credentials and write the targets",
            )


def _short_tokens(config: Config) -> Iterator[Problem]:
    for key, file in token_files(config).items():
        with suppress(FileFault):  # file_problems tells of that
            if any(len(token) < SHORT_TOKEN for token in read_tokens(file, key.noun)):
                yield Problem(
                    key.place, f"holds a {key.noun} of fewer than {SHORT_TOKEN} characters, which can be guessed"
                )


def _without_files(config: Config) -> Iterator[Problem]:
    for index, section in enumerate(config.file_sd_configs):
        for place, pattern in enumerate(section.files):
            if not _names_a_file(pattern):
                yield Problem(
                    f"file_sd_configs[{index}].files[{place}]",
                    f"names no file now in {pattern.parent.absolute()}: "
                    "a relative path starts from the folder of the configuration file",
                )


def _names_a_file(pattern: Path) -> bool:
    try:
        return any(pattern.parent.glob(pattern.name))
    except OSError:  # such as a name that is too long: the first refresh says what is wrong
        return True


def _without_effect(config: Config) -> Iterator[Problem]:
    if config.callbacks.listen_address and not config.callbacks.secret_file:
        yield Problem("callbacks.listen_address", "has no effect without callbacks.secret_file")


# What pydantic found wrong, as places and sentences. No sentence repeats a value: it may be a secret.

KEY: Final = "[key]"
"""How pydantic marks that a mapping's key is wrong, not its value."""
LABELS: Final = "labels"
VALUE_IN_KEY: Final = re.compile(r"""(?<=[:=\s"']).+""", re.DOTALL)
"""What YAML takes for the rest of a key without colon and space: `{password:x}`, `{password x}`. It may be a secret."""
NOT_A_MAPPING: Final = "must be a mapping of keys and values"
NOT_A_LIST: Final = "must be a list"

NOT_SUPPORTED: Final[Mapping[str, str]] = {
    "server_name": "is not supported: the certificate must be for the host of the url",
    "bearer_token": "is not supported: write authorization: {credentials: ...}",
    "bearer_token_file": "is not supported: write authorization: {credentials_file: ...}",
    "oauth2": "is not supported; use authorization or basic_auth",
    "no_proxy": "is not supported here: set $NO_PROXY, which counts while there is no proxy_url",
    "proxy_from_environment": "is not supported: without proxy_url the environment decides",
}
"""Keys that Prometheus has in these places, and what to do instead."""

SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is required",
    "value_error": lambda context: str(context["error"]),
    "model_type": lambda _: NOT_A_MAPPING,
    "dict_type": lambda _: NOT_A_MAPPING,
    "list_type": lambda _: NOT_A_LIST,
    "tuple_type": lambda _: NOT_A_LIST,
    "bool_type": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "greater_than": lambda context: f"must be more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']:g}",
    "less_than_equal": lambda context: f"must be at most {context['le']:g}",
    "less_than": lambda _: "must be a finite number",
    "literal_error": lambda context: f"must be one of {context['expected']}".replace("'", ""),
}


def format_errors(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return all problems of one validation of `model`, in the order of its fields."""
    return [
        Problem(
            reduce(step, _steps(found["loc"]), ""),
            _sentence(found["type"], found.get("ctx", {}), found["loc"], model),
        )
        for found in error.errors(include_url=False, include_input=False)
    ]


def _steps(location: tuple[str | int, ...]) -> Iterator[str | int]:
    """Yield the steps of a config path, without values that stand in a key; labels are no secrets, and shown whole."""
    for part in location:
        if part != KEY:
            yield part if isinstance(part, int) or LABELS in location else VALUE_IN_KEY.sub("...", part)


def _sentence(kind: str, context: Mapping[str, Any], location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        *where, key = location
        return _unknown(str(key), keys_at(model, tuple(where)))
    write = SENTENCES.get(kind)
    return write(context) if write else f"is not usable ({kind.replace('_', ' ')})"


def _unknown(key: str, known: list[str]) -> str:
    if key in NOT_SUPPORTED:
        return NOT_SUPPORTED[key]
    name = VALUE_IN_KEY.sub("", key)
    if name != key and name[:-1] in known:
        return f"is not a known key; write `{name[:-1]}: VALUE`, with a space after the colon"
    close = get_close_matches(key, known, n=1)
    return f"is not a known key; did you mean {close[0]}?" if close else "is not a known key"


def keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the section at `path` may have."""
    for part in path:
        if isinstance(part, str):
            model = next(_sections(model.model_fields[part].annotation))
    return list(model.model_fields)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


# The configuration in force, for people

_DUMPER: Final[type[yaml.CSafeDumper | yaml.SafeDumper]] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_DURATION_CHECKS: Final = (*get_args(Duration), *get_args(PositiveDuration))


def redacted(config: Section) -> str:
    """Return the whole configuration as YAML, defaults included, every secret as `<secret>`."""
    return str(yaml.dump(_shown(config), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=1_000))


def _shown(section: Section) -> dict[str, Any]:
    return {name: _value(getattr(section, name), field) for name, field in type(section).model_fields.items()}


def _value(value: object, field: FieldInfo) -> Any:
    match value:
        case SecretStr():
            return REDACTED
        case float() if any(isinstance(part, BeforeValidator) and part in _DURATION_CHECKS for part in field.metadata):
            return format_duration(value)
        case None | bool() | int() | float() | Section():
            return _shown(value) if isinstance(value, Section) else value
        case dict():
            return {str(name): _value(each, field) for name, each in value.items()}
        case tuple() if not isinstance(value, TargetId):
            return [_value(each, field) for each in value]
        case _:
            return str(value)
