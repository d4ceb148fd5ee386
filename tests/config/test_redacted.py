"""No text that a configuration turns into holds a secret."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from exporter.config.credentials import resolve
from exporter.config.loader import REDACTED, load, parse_config, redacted
from exporter.config.schema import Config
from exporter.errors import ConfigError

CANARY = "CANARY7f3a"

GOOD = f"""
accounts:
  - access_key_id: {CANARY}
    secret_access_key: {CANARY}
    session_token: {CANARY}
    proxy_url: http://user:{CANARY}@proxy:3128
"""

FEEDS = f"""
http_sd_configs:
  - url: https://host/targets?key={CANARY}
    authorization: {{credentials: {CANARY}}}
    proxy_url: http://user:{CANARY}@proxy:3128
  - url: https://host/targets
    basic_auth: {{username: me, password: {CANARY}}}
"""


def test_no_repr_shows_a_secret(read: Callable[[str], Config]) -> None:
    """No text a configuration turns into holds a key, a token or a proxy's password."""
    config = read(GOOD + FEEDS)
    for told in (
        repr(config),
        str(config),
        f"{config.accounts[0]!r}",
        str(config.model_dump()),
        config.model_dump_json(),
    ):
        assert CANARY not in told
    credentials = resolve(config.accounts[0], {})
    assert CANARY not in repr(credentials).replace(f"access_key='{CANARY}'", "")


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "    max_qps: 0\n",
        GOOD.replace("proxy:3128", "proxy:port"),
        GOOD.replace("http:", "socks4:"),
        GOOD.replace("token: ", "token: *"),
        FEEDS + f"  - url: https://user:{CANARY}@host",
        FEEDS + f"  - url: https://host:port/?{CANARY}",
        FEEDS.replace("credentials:", "credentials_file:"),
        FEEDS.replace("password:", "password_file:"),
        FEEDS.replace("https:", "ftp:"),
        GOOD.replace("token: ", "token: !"),
        GOOD.replace("token: ", "token: [") + "]",
        f"accounts: [{{access_key_id: [{CANARY}], secret_access_key: {{a: {CANARY}}}}}]",
        f'accounts: [{{secret_access_key: "{CANARY}\\n{CANARY}"}}]',
        f"accounts: [{{access_key_id: a, secret_access_key_file: {CANARY}}}]",
        f"accounts: [{{endpoint: 'https://user:{CANARY}@host'}}]",
        f"accounts: {CANARY}",
        f"accounts: [{CANARY}]",
        f"accounts: [{{tls_config: {CANARY}, app_ids: {CANARY}, max_qps: {CANARY}, timeout: {CANARY}}}]",
        f"state: {{url: 'postgresql://user:{CANARY}@db/x'}}",
        CANARY,
        f"accounts: [{{secret_access_key: '{CANARY}}}]",
        f"accounts: [{{secret_access_key: {CANARY}\x00}}]",
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    """Whatever is wrong around a secret, neither the problems nor the traceback tell it."""
    file = tmp_path / "c.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    told = "".join(traceback.format_exception(caught.value, chain=True))
    assert CANARY not in told
    assert CANARY not in repr(caught.value)
    assert CANARY not in f"{caught.value.__context__!s}"


def test_the_models_own_error_shows_no_secret() -> None:
    """Even pydantic's error, which no user sees, holds no value of the file in its text."""
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"accounts": [{"secret_access_key": [CANARY], "unknown": CANARY}], "state": CANARY})
    assert CANARY not in str(caught.value)


def test_a_secret_file_s_name_is_not_told(tmp_path: Path) -> None:
    """Who puts the secret itself where its file's name belongs finds it in no error."""
    config = parse_config(f"accounts: [{{access_key_id_file: {CANARY}, secret_access_key_file: {CANARY}}}]", tmp_path)
    with pytest.raises(ConfigError) as caught:
        resolve(config.accounts[0], {})
    assert CANARY not in str(caught.value)


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
    return parse_config(TEXT, Path("/etc/webcast"))


def test_no_secret_is_redacted(config: Config) -> None:
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
    assert parse_config(redacted(Config()), Path()) == Config()
