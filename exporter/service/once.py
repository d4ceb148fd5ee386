"""One call for a person: what `get` and `check --probe` make, outside any polling."""

from collections.abc import Mapping
from contextlib import closing

from exporter.config.schema import Account
from exporter.model.clock import Clock
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.service.accounts import connect
from exporter.volcengine.rate_limiter import RateLimiter


def read_once(account: Account, target: TargetId, environ: Mapping[str, str], place: str = "") -> ReadResult:
    """One signed call. ConfigError when the account has no credentials."""
    _, client = connect(account, environ, RateLimiter(account.max_qps), Clock(), place, logs=False)
    with closing(client):
        return client.read(target)
