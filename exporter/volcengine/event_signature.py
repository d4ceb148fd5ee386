"""The signature of a callback (docs 6348/69820): a digest over its values, with the secret among them."""

from collections.abc import Iterable
from hashlib import sha256


def event_signature(values: Iterable[str], secret: str) -> str:
    """Lower-case hex of SHA-256 over the values and the secret, sorted by their bytes and joined without separator.

    The values are EventType, EventData, EventTime, EventId, AppId, Version and Nonce, raw as they travel; which is
    which does not matter. UnicodeEncodeError when one of them is no Unicode text.
    """
    return sha256("".join(sorted([*values, secret])).encode()).hexdigest()
