"""docs/configuration.md is what the models say, and each of its examples is one."""

import re
from typing import Any

import pytest
import yaml

from docs.source.configuration import DOCUMENT, Row, model_of, reference, rows
from exporter.config.loader import parse_config
from exporter.config.schema import Config
from tests.docs.reading import ROOT

ROWS = {(section, row.key): row for section in Config.model_fields for row in rows(model_of(section)[0])}
BESIDE = {
    "static_configs": "targets: [661e0000000000000000543c/Room1/Task1]",
    "file_sd_configs": "files: [targets/*.yml]",
    "http_sd_configs": "url: https://backend.example/webcast-targets",
}
"""Keys without which a section is not complete."""
AROUND = {"ha": 'state: {url: "postgresql+psycopg://db.example.com/webcast"}'}
"""Sections without which the file is not."""


def file_of(section: str, example: str) -> str:
    """A whole file in which the section has this example, and what must be beside it."""
    keys: dict[str, Any] = {**yaml.safe_load(BESIDE.get(section, "{}")), **yaml.safe_load(example)}
    around: dict[str, Any] = yaml.safe_load(AROUND.get(section, "{}"))
    return yaml.safe_dump({**around, section: [keys] if model_of(section)[1] else keys})


def test_the_document_is_what_the_models_make() -> None:
    """An edit by hand would be undone by `make docs`."""
    assert DOCUMENT.read_text() == reference()


@pytest.mark.parametrize(("section", "row"), [(section, row) for (section, _), row in ROWS.items()], ids=str)
def test_every_key_is_described_and_its_example_is_good(section: str, row: Row) -> None:
    """The file is accepted with the example, which sets its key to something else than the default."""
    assert row.meaning
    config = parse_config(file_of(section, row.example), ROOT)
    given: Any = yaml.safe_load(row.example)
    made = getattr(config, section)
    for part in row.key.split("."):
        given = given[part]
        made = getattr(made[0] if isinstance(made, tuple) else made, part)
    assert given is not None
    assert row.key == "authorization.type" or f"`{given}`" != row.default
    assert made is not None


def test_the_first_example_has_every_section() -> None:
    """It is the one that people copy."""
    first = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert first is not None
    assert list(yaml.safe_load(first[1])) == list(Config.model_fields)


def test_every_key_has_its_default_in_the_table() -> None:
    """Durations as people write them, lists as YAML has them."""
    assert ROWS["polling", "interval"].default == "`30s`"
    assert ROWS["metrics", "groups"].default == "`[monitor, video, event_notify]`"
    assert ROWS["http_sd_configs", "follow_redirects"].default == "`true`"
    assert ROWS["http_sd_configs", "url"].default == "required"
    assert ROWS["push", "token_file"].default == ""
