"""Two self-made certificates with their keys, for all tests; a self-made one is its own authority."""

import ssl
from pathlib import Path

import pytest

from exporter.simulator.server import Certificates, make_certificates

PASSWORD = "a-password-of-the-tests"
HASH = "$2b$04$1iRAaPDWwjxaPj6Kzy2h6./O49TFPfycSLQhySLmqJlVEX/VAuI.u"
"""Of the password, as cheap as it can be."""


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One to be trusted, and a stranger's."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def client_context(trusts: Path, shows: Path | None = None) -> ssl.SSLContext:
    """What a client needs that trusts one authority, and shows a certificate of its own if one is given."""
    context = ssl.create_default_context(cafile=str(trusts))
    if shows is not None:
        context.load_cert_chain(shows)
    return context
