"""docs/configuration.md is what the models say, and each of its examples is one."""

import re
from typing import Any

import pytest
import yaml

from docs.source.__main__ import DOCUMENT
from docs.source.configuration import reference
from docs.source.models import rows
from docs.source.words import SECTIONS, Section
from exporter.config.load import parse_config
from exporter.config.schema import Config
from tests.docs.reading import ROOT

EXAMPLES = [
    pytest.param(section, key, example, id=f"{section.name}-{key}")
    for section in SECTIONS
    for key, (_, example) in section.keys.items()
]


def file_of(section: Section, example: str) -> str:
    """A whole file in which the section has this example, and what must be beside it."""
    keys: dict[str, Any] = {**yaml.safe_load(section.beside or "{}"), **yaml.safe_load(example)}
    around: dict[str, Any] = yaml.safe_load(section.around or "{}")
    return yaml.safe_dump({**around, section.name: [keys] if section.is_list else keys})


def test_the_document_is_what_the_source_makes() -> None:
    """Nobody edits it by hand: `make docs` would undo it."""
    assert DOCUMENT.read_text() == reference()


def test_every_section_and_key_is_told() -> None:
    """A new key needs its words, and words of a key that went must go."""
    assert [section.name for section in SECTIONS] == list(Config.model_fields)
    for section in SECTIONS:
        assert {row.key for row in rows(section.model)} == section.keys.keys(), section.name


@pytest.mark.parametrize(("section", "key", "example"), EXAMPLES)
def test_an_example_is_good_and_of_its_key(section: Section, key: str, example: str) -> None:
    """The file is accepted with it, and it sets the key beside which it stands to something else than the default."""
    config = parse_config(file_of(section, example), ROOT)
    given: Any = yaml.safe_load(example)
    for part in key.split("."):
        given = given[part]
    made = getattr(config, section.name)
    for part in key.split("."):
        made = getattr(made[0] if isinstance(made, tuple) else made, part)
    default = next(row.default for row in rows(section.model) if row.key == key)
    assert given is not None
    assert key == "authorization.type" or f"`{given}`" != default
    assert made is not None


def test_the_first_example_has_every_section() -> None:
    """It is the one that people copy."""
    first = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert first is not None
    assert list(yaml.safe_load(first[1])) == list(Config.model_fields)


def test_every_key_has_its_default_in_the_table() -> None:
    """Durations as people write them, lists as YAML has them."""
    defaults = {f"{section.name}.{row.key}": row.default for section in SECTIONS for row in rows(section.model)}
    assert defaults["polling.interval"] == "`30s`"
    assert defaults["metrics.groups"] == "`[monitor, video, event_notify]`"
    assert defaults["http_sd_configs.follow_redirects"] == "`true`"
    assert defaults["http_sd_configs.url"] == "required"
    assert defaults["push.token_file"] == ""
