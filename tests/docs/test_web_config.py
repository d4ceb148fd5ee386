"""docs/web-config.md tells every key of the web config file, and each of its examples is one."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from exporter.config.web_config import HttpServer, RateLimit, TlsServer, WebConfig, parse_web_config
from tests.docs.reading import ROOT

ROW = re.compile(r"^\| `([a-z_.0-9]+)` \| .* \| `(\{.*\})` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "web-config.md").read_text())
SECTIONS: dict[str, type[BaseModel]] = {
    "tls_server_config": TlsServer,
    "http_server_config": HttpServer,
    "rate_limit": RateLimit,
}
PAIR = {"cert": "cert_file", "key": "key_file"}


def file_of(key: str, example: str) -> str:
    """A whole file in which the section of the key is the example; TLS gets the certificate that it needs."""
    keys = yaml.safe_load(example)
    section = key.partition(".")[0]
    if section == "tls_server_config":
        keys |= {file: "one.pem" for text, file in PAIR.items() if not {text, file} & keys.keys()}
    return yaml.safe_dump({section: keys})


def test_every_key_is_told() -> None:
    keys = [f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields]
    keys += [key for key in WebConfig.model_fields if key not in SECTIONS]
    assert sorted(key for key, _ in ROWS) == sorted(keys)


@pytest.mark.parametrize(("key", "example"), ROWS)
def test_an_example_is_good_and_of_its_key(key: str, example: str) -> None:
    config = parse_web_config(file_of(key, example), Path("/etc/webcast"))
    section, _, name = key.partition(".")
    assert getattr(config, section).model_fields_set >= {name} if name else config.basic_auth_users
