"""Whatever a file holds, it is a configuration or a list of problems."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.loader import keys_at, parse_config, warnings
from exporter.config.schema import Config
from exporter.errors import ConfigError

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

PLACES: list[tuple[str | int, ...]] = [
    (),
    ("accounts", 0),
    ("accounts", 0, "tls_config"),
    ("static_configs", 0),
    ("file_sd_configs", 0),
    ("http_sd_configs", 0),
    ("http_sd_configs", 0, "authorization"),
    ("http_sd_configs", 0, "basic_auth"),
    ("http_sd_configs", 0, "tls_config"),
    ("polling",),
    ("lifecycle",),
    ("metrics",),
    ("state",),
]
KEYS = sorted({key for place in PLACES for key in keys_at(Config, place)})

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.datetimes()
    | st.dates()
    | st.sampled_from(
        [
            "30s",
            "a/b/c",
            "https://h",
            "http://u:p@h",
            "sqlite://",
            "sqlite:///x",
            "video",
            "2020-12-01",
            "__expected_end__",
        ]
    )
)
NAMES = st.sampled_from([*KEYS, "__expected_start__", "__expected_end__"]) | st.text(max_size=5)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)


def accepts(text: str) -> bool:
    """Whether the text is a good configuration; any exception but ConfigError is the test's failure."""
    try:
        config = parse_config(text, Path("/etc/webcast"))
    except ConfigError as error:
        problems = error.problems
    else:
        return isinstance(warnings(config), list)
    assert problems
    assert all(problem.sentence for problem in problems)
    return False


@given(st.dictionaries(st.sampled_from(keys_at(Config, ())), DOCUMENTS))
def test_any_document(document: dict[str, Any]) -> None:
    """Any nesting of any values under the known keys is a configuration or problems."""
    assert accepts(yaml.safe_dump(document, allow_unicode=True)) in {True, False}


@given(st.dictionaries(st.sampled_from(keys_at(Config, ("accounts", 0))), SCALARS))
def test_any_account(account: dict[str, Any]) -> None:
    assert accepts(yaml.safe_dump({"accounts": [account]}, allow_unicode=True)) in {True, False}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.text(alphabet="ab:-[]{}&*!|>'\"%@#?,<\n \t01"))
def test_any_text(text: str) -> None:
    assert accepts(text) in {True, False}
