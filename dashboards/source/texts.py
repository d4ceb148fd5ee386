"""What is said of a dashboard, its variables and panels, in both languages: texts/NAME.md, a section for each."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "texts"
HEADING = re.compile(r"^##? (.+)\n", re.MULTILINE)


def texts_of(name: str) -> dict[str, str]:
    """By heading: English, an empty line, Chinese; a variable's heading begins with `$`."""
    _, *parts = HEADING.split((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    return {heading: _described(text) for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def _described(text: str) -> str:
    """Lines of one paragraph are one line."""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in text.strip().split("\n\n"))
