"""Certificates made on the spot, for an endpoint that speaks TLS: one to be trusted, and one of a stranger."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import StartError

DAYS = 2
PATIENCE = 30.0
REQUEST = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
    *("-days", str(DAYS), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"),
    *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Two self-made ones, each with its key in one PEM file. `authority` is all that a client is to trust."""

    authority: Path
    trusted: Path
    stranger: Path

    def context(self, *, stranger: bool) -> ssl.SSLContext:
        """What a server needs to show one of them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.stranger if stranger else self.trusted)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Both, good for this host and two days; StartError when there is no `openssl` to make them."""
    authority = folder / "authority.pem"
    trusted = _made(folder, "trusted", authority)
    return Certificates(authority, trusted, _made(folder, "stranger", folder / "stranger-authority.pem"))


def _made(folder: Path, name: str, certificate: Path) -> Path:
    key = folder / f"{name}.key"
    command = [*REQUEST, "-subj", f"/CN={name} simulator", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603 - nothing from outside
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(f"The command openssl makes no certificate: {type(error).__name__}.") from error
    both = folder / f"{name}.pem"
    both.touch(mode=0o600)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both
