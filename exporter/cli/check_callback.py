"""`check --callback`: what one captured body of the vendor's would come to."""

import time
from pathlib import Path

import click

from exporter.config.credentials import CALLBACK_SECRETS, read_tokens
from exporter.config.schema import Config
from exporter.config.times import format_duration
from exporter.discovery.merge import AccountOf
from exporter.enums import CallbackOutcome
from exporter.errors import ConfigError, Problem, StartError
from exporter.model.callback import Callback
from exporter.volcengine.callbacks import CallbackResult, CallbackRules, verify_callback
from exporter.web.endpoints import MAX_CALLBACK_BYTES
from exporter.web.serializers import rfc3339

WHAT_TO_DO = {
    CallbackOutcome.BAD_SIGNATURE: (
        "is its app's secret in callbacks.secret_file, {file}, and this byte for byte what came?"
    ),
    CallbackOutcome.IGNORED: "add it to callbacks.event_types if these are the events of WebCast",
}


def check_callback(config: Config, file: Path) -> bool:
    """Tell what the body in a file comes to; whether it would be taken. ConfigError while callbacks are off."""
    verdict = verify_callback(_body(file), _terms(config), time.time())
    if verdict.shape.event_type:
        click.echo(f"{file}: EventType {verdict.shape.event_type!r}, EventData has {', '.join(verdict.shape.keys)}")
    if verdict.callback is None:
        advice = WHAT_TO_DO.get(verdict.outcome, "").format(file=config.callbacks.secret_file)
        click.echo(f"{file}: {verdict.outcome}: {verdict.problem}{f'; {advice}' if advice else ''}", err=True)
        return False
    return _tell(config, file, verdict, verdict.callback)


def _tell(config: Config, file: Path, verdict: CallbackResult, callback: Callback) -> bool:
    click.echo(f"{file}: the signature fits")
    if AccountOf(config.accounts)(callback.target.app_id) is None:
        app_id = callback.target.app_id
        click.echo(f"{file}: ignored: app {app_id} is in no account's app_ids, so that nobody could read it", err=True)
        return False
    click.echo(f"{file}: {_counts(callback)}; {callback.target} is then a target, and is read at once")
    for field in verdict.unexpected:
        click.echo(f"{file}: {field} has a value that the vendor does not document")
    if verdict.outcome is CallbackOutcome.STALE:
        limit = format_duration(config.callbacks.max_age)
        click.echo(f"{file}: its EventTime is {rfc3339(callback.at)}; sent now it would be stale (max_age is {limit})")
    return True


def _counts(callback: Callback) -> str:
    if callback.page is None:
        return "counts no page event"
    return f"counts a page {callback.page.action} for {callback.page.reason}"


def _body(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            body = opened.read(MAX_CALLBACK_BYTES + 1)
    except OSError as error:
        raise StartError(f"{file}: {(error.strerror or str(error)).lower()}") from error
    if len(body) > MAX_CALLBACK_BYTES:
        raise StartError(f"{file}: has more than {MAX_CALLBACK_BYTES:,} bytes, and would be refused (413)")
    return body


def _terms(config: Config) -> CallbackRules:
    if config.callbacks.secret_file is None:
        raise ConfigError([Problem(CALLBACK_SECRETS.place, "is needed to check a callback")])
    secrets = read_tokens(config.callbacks.secret_file, CALLBACK_SECRETS.noun)
    return CallbackRules(
        tuple(secret.get_secret_value() for secret in secrets), config.callbacks.event_types, config.callbacks.max_age
    )
