"""Certificates and keys as PEM text, and OpenSSL's way to it, which is by files alone."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
KEY: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )?PRIVATE KEY-----")
ENCRYPTED: Final = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


def fault_of_certificate(pem: str) -> str:
    """What is wrong with the text of a certificate, as the rest of a sentence; empty when nothing is seen."""
    return "" if CERTIFICATE in pem else "holds no certificate in PEM form"


def fault_of_key(pem: str) -> str:
    """The same for a private key."""
    if ENCRYPTED.search(pem):
        return "holds an encrypted key, and there is nobody to ask for its password"
    return "" if KEY.search(pem) else "holds no private key in PEM form"


@contextmanager
def as_file(pem: str) -> Iterator[str]:
    """The name of a file with this text, for as long as the context lasts. It lies in memory where there is a way."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("pem"), "w+", encoding="utf-8") as file:  # noqa: PTH123 - it has no path
            file.write(pem)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with closing(tempfile.NamedTemporaryFile("w", encoding="utf-8")) as file:
        file.write(pem)
        file.flush()
        yield file.name
