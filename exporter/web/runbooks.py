"""The runbooks as pages, in the reader's language."""

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from itertools import count
from typing import NamedTuple

import mistune
from markupsafe import Markup

from exporter.bundle.files import runbooks
from exporter.web.i18n import N_

SCOPES = (
    N_("critical (warning: see below)"),
    N_("critical, or warning"),
    N_("a class"),
    N_("an account"),
    N_("an app"),
    N_("callbacks"),
    N_("the exporter"),
    N_("the lists of targets"),
)
"""Severities and subjects of runbooks, for the catalogues; the plain severities are words of i18n."""
CHINESE = re.compile(r"^---\n+# 中文\n", re.MULTILINE)


class Runbook(NamedTuple):
    """One runbook in one language: its name, severity and subject, the sentence of its meaning, and its Markdown."""

    name: str
    scope: tuple[str, ...]
    meaning: str
    text: str


@cache
def load_runbooks(language: str) -> Mapping[str, Runbook]:
    """Every runbook by its alert's name."""
    return {name: _load(name, text, language) for name, text in runbooks().items() if name != "README"}


def _load(name: str, text: str, language: str) -> Runbook:
    head, _, body = text.partition("\n## ")
    english, *rest = CHINESE.split(f"## {body}", maxsplit=1)
    chosen = rest[0] if rest and language == "zh" else english
    scope = tuple(head.partition("\n")[2].partition("[")[0].strip(" \n·").split(" · "))
    meaning = chosen.strip().partition("\n")[2].strip().partition("\n\n")[0]
    return Runbook(name, scope, " ".join(meaning.split()), chosen)


def render_runbook(runbook: Runbook, root: str) -> Markup:
    """The runbook as HTML; markup in its text is escaped."""
    markdown = mistune.create_markdown(renderer=_Renderer(root), plugins=["table"])
    return Markup(markdown(runbook.text))  # noqa: S704 - the renderer escapes it


def render_sentence(text: str, root: str) -> Markup:
    """Render one paragraph of Markdown as HTML, without its `<p>`."""
    html = str(mistune.create_markdown(renderer=_Renderer(root))(text)).strip()
    return Markup(html.removeprefix("<p>").removesuffix("</p>"))  # noqa: S704 - the renderer escapes it


class _Renderer(mistune.HTMLRenderer):
    """Links to other runbooks lead to their pages; other relative links are text, as nothing else is served."""

    def __init__(self, root: str) -> None:
        super().__init__(escape=True)
        self._root = root
        self._numbers = count(1)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Render one link."""
        name = url.removesuffix(".md")
        if name in runbooks():
            return f'<a href="{self._root}/runbooks/{name}">{text}</a>'
        return super().link(text, url, title) if url.startswith("https://") else text

    def block_code(self, code: str, info: str | None = None) -> str:
        """Code that can be scrolled with the keyboard."""
        label = f"{escape(info or 'code')} {next(self._numbers)}"
        return f'<pre tabindex="0" role="region" aria-label="{label}"><code>{escape(code)}</code></pre>\n'
