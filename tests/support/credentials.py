"""Credentials in force, without files, and those of a simulation."""

from pathlib import Path
from typing import Any

from exporter.config.credentials import CredentialSource
from exporter.config.loader import parse_config
from exporter.model.credentials import Credentials
from exporter.simulator.server import Simulation

KEY = Credentials("AKLTexample", "s3cret-key")


def fixed(key: Credentials = KEY) -> CredentialSource:
    """A source of one set; a test may put another one in force."""
    account = parse_config("accounts: [{access_key_id: AK, secret_access_key: SK}]", Path()).accounts[0]
    source = CredentialSource(account, {})
    source.in_force = key
    return source


def account_of(simulation: Simulation, **changes: Any) -> dict[str, Any]:
    """An element of `accounts` that reads a simulation, with other values where `changes` have some."""
    credentials = simulation.credentials
    return {
        "name": "default",
        "endpoint": simulation.url,
        "access_key_id": credentials.access_key,
        "secret_access_key": credentials.secret_key,
        **changes,
    }
