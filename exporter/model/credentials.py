"""What one account signs with."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """One key pair, with a session token when it is temporary (STS). Only the access key is in its repr."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
