"""Credentials in force, without files."""

from pathlib import Path

from exporter.config.credentials import CredentialSource
from exporter.config.loader import parse_config
from exporter.model.credentials import Credentials

KEY = Credentials("AKLTexample", "s3cret-key")


def fixed(key: Credentials = KEY) -> CredentialSource:
    """A source of one set; a test may put another one in force."""
    account = parse_config("accounts: [{access_key_id: AK, secret_access_key: SK}]", Path()).accounts[0]
    source = CredentialSource(account, {})
    source.in_force = key
    return source
