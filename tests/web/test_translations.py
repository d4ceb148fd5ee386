"""Pages in the reader's language: nothing is left untranslated."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from exporter.enums import (
    CallbackOutcome,
    PageAction,
    PageReason,
    ReadFailure,
    Rejection,
    Severity,
    Source,
    StopReason,
    TaskProblem,
)
from exporter.model.task_state import DisplayStatus
from exporter.web.i18n import DOMAIN, LOCALES, WORDS, choose_language, languages

if TYPE_CHECKING:
    from tests.web.conftest import Site

WEB = Path(LOCALES).parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
PATHS = [
    *("/", "/tasks", "/tasks?show=stopped", "/tasks?status=x", "/status", "/config"),
    *("/dashboards/", "/runbooks/", "/nothing"),
]
PLACEHOLDER = re.compile(r"\{\w*\}")
CATALOGUES = sorted(LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def messages() -> set[str]:
    return {str(message) for _, _, message, _, _ in extract_from_dir(WEB, METHODS)}


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: file.parts[-3])
def test_every_message_is_translated(file: Path) -> None:
    """With its placeholders, and nothing is translated that is no message (`make translations`)."""
    with file.open("rb") as opened:
        catalogue = {str(message.id): str(message.string) for message in read_po(opened) if message.id}
    assert set(catalogue) == messages()
    assert [message for message, text in catalogue.items() if not text] == []
    changed = {
        message: text
        for message, text in catalogue.items()
        if sorted(PLACEHOLDER.findall(message)) != sorted(PLACEHOLDER.findall(text))
    }
    assert changed == {}


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: file.parts[-3])
def test_the_compiled_catalogue_is_that_of_the_text(file: Path) -> None:
    """`make translations` was run after the last edit."""
    with file.open("rb") as text, file.with_suffix(".mo").open("rb") as compiled:
        fresh = io.BytesIO()
        write_mo(fresh, read_po(text))
        assert dict(_texts(compiled)) == dict(_texts(io.BytesIO(fresh.getvalue())))


def _texts(opened: io.BufferedIOBase) -> list[tuple[object, object]]:
    return [(message.id, message.string) for message in read_mo(opened) if message.id]


@pytest.mark.parametrize(
    "words",
    [
        CallbackOutcome,
        DisplayStatus,
        PageAction,
        PageReason,
        ReadFailure,
        Rejection,
        Severity,
        Source,
        StopReason,
        TaskProblem,
    ],
)
def test_every_word_of_the_metrics_has_a_text(words: type[TaskProblem]) -> None:
    """So that no page shows a bare identifier."""
    assert [word for word in words if word not in WORDS] == []


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh-TW;q=0.4", "zh"),
        ("ZH", "zh"),
        ("zh;q=0,en", "en"),
        ("zh;q=x", "en"),
        ("*", "en"),
        (";;q=,", "en"),
    ],
)
def test_the_language_is_the_readers(header: str, tag: str) -> None:
    """As RFC 9110 weighs Accept-Language; English where nothing fits."""
    assert choose_language(header).tag == tag


@pytest.mark.parametrize("tag", sorted(languages()))
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tasks",
        "/tasks?show=stopped",
        "/tasks?status=x",
        "/status",
        "/config",
        "/dashboards/",
        "/runbooks/",
        "/nothing",
    ],
)
def test_every_page_is_in_every_language(site: "Site", tag: str, path: str) -> None:
    answer = site.get(path, Accept_Language=tag, Accept="text/html")
    assert f'<html lang="{tag}">' in answer.text
    assert answer.headers["content-language"] == tag
    assert "accept-language" in answer.headers["vary"].lower()
    assert ("任务" in answer.text) is (tag == "zh")
