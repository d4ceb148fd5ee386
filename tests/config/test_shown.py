"""The configuration as people may see it."""

from pathlib import Path

import pytest
import yaml

from exporter.config.loader import REDACTED, parse_config, redacted
from exporter.config.schema import Config

CANARIES = [f"canary-{what}" for what in ("key", "secret", "token", "proxy", "query", "login", "bearer")]
TEXT = """
accounts:
  - access_key_id: canary-key
    secret_access_key: canary-secret
    session_token: canary-token
    proxy_url: http://me:canary-proxy@proxy.example:3128
    max_qps: 30
static_configs:
  - targets: [app/room/task]
    labels: {team: 教育}
http_sd_configs:
  - url: https://backend.example/targets?token=canary-query
    basic_auth: {username: me, password: canary-login}
  - url: https://backend.example/more
    authorization: {credentials: canary-bearer}
polling: {interval: 1h30m}
"""


@pytest.fixture
def config() -> Config:
    """A configuration with every kind of secret."""
    return parse_config(TEXT, Path("/etc/webcast"))


def test_no_secret_is_redacted(config: Config) -> None:
    """Each stands as `<secret>`, a query of a URL too."""
    text = redacted(config)
    assert [canary for canary in CANARIES if canary in text] == []
    said = yaml.safe_load(text)
    assert said["accounts"][0]["access_key_id"] == REDACTED
    assert said["http_sd_configs"][0]["url"] == "https://backend.example/targets?<secret>"
    assert said["http_sd_configs"][0]["basic_auth"] == {"username": "me", "password": REDACTED, "password_file": None}


def test_it_reads_as_it_would_be_written(config: Config) -> None:
    """Durations with their units, targets by their triples, numbers as numbers, labels in their script."""
    text = redacted(config)
    said = yaml.safe_load(text)
    assert (said["polling"]["interval"], said["polling"]["fast_interval"]) == ("1h30m", "5s")
    assert said["accounts"][0]["timeout"] == "5s"
    assert said["accounts"][0]["max_qps"] == 30.0
    assert said["static_configs"] == [{"targets": ["app/room/task"], "labels": {"team": "教育"}}]
    assert "team: 教育" in text


def test_the_defaults_are_a_configuration() -> None:
    """What is shown without secrets is accepted as a file."""
    assert parse_config(redacted(Config()), Path()) == Config()
