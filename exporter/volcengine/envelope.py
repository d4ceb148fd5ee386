"""The envelope of a callback (volcengine.com/docs/6348/75124): who sent what, and the signature over all of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Self

from exporter.volcengine.event_signature import event_signature
from exporter.volcengine.loose_object import LooseObject, NotAnObject, object_of


@dataclass(frozen=True, slots=True)
class Envelope:
    """Its values raw, as they were signed; what is missing is empty, and signs as nothing."""

    event_type: str
    event_data: str = field(repr=False)
    event_time: str
    event_id: str
    app_id: str
    version: str
    nonce: str
    signature: str = field(repr=False)

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Read a body; NotAnObject when it is no JSON object, or has a list or an object where a text belongs."""
        said = object_of(body)
        return cls(
            event_type=_text(said, "EventType"),
            event_data=_text(said, "EventData"),
            event_time=_text(said, "EventTime"),
            event_id=_text(said, "EventId"),
            app_id=_text(said, "AppId"),
            version=_text(said, "Version"),
            nonce=_text(said, "Nonce") or _text(said, "Noce"),  # the vendor's overseas twin writes it so
            signature=_text(said, "Signature").strip().lower(),
        )

    def signed_with_any(self, secrets: Iterable[str]) -> bool:
        """Whether the signature is that of one of the secrets, in a time that does not tell how much of it is right."""
        signed = (
            self.event_type,
            self.event_data,
            self.event_time,
            self.event_id,
            self.app_id,
            self.version,
            self.nonce,
        )
        given = self.signature.encode(errors="replace")
        try:
            fits = [compare_digest(given, event_signature(signed, secret).encode()) for secret in secrets]
        except UnicodeEncodeError:  # half a character, which JSON can write and nobody can sign
            return False
        return any(fits)


def _text(said: LooseObject, key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str | None):
        raise NotAnObject(f"has something else than a text as its {key}")
    return value or ""
