"""The documents as tests read them: their fenced blocks, headings and links."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCED = re.compile(
    r"^(?P<indent> *)```(?P<kind>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^(#+) +(.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<(https?://[^>]+)>")
NOT_OURS = ("tests/", "benchmarks/", ".github/")


class Block(NamedTuple):
    """One fenced block: where it is, what it says it is, and its text."""

    path: Path
    line: int
    kind: str
    text: str

    @property
    def place(self) -> str:
        """`docs/targets.md:60`, for a test's name and its failure."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Every Markdown file that is or will be committed, but for tests and sources."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # no git checkout
        return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "dashboards" / "README.md"])
    names = [name for name in listed.stdout.split("\0") if name and not name.startswith(NOT_OURS)]
    return sorted({ROOT / name for name in names if (ROOT / name).is_file()})


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of one document, in their order, without the indentation of a list around them."""
    text = path.read_text("utf-8")
    return [
        Block(
            path,
            text.count("\n", 0, found.start()) + 1,
            found["kind"],
            re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
        )
        for found in FENCED.finditer(text)
    ]


def blocks(*kinds: str) -> list[Block]:
    return [block for path in documents() for block in blocks_of(path) if block.kind in kinds]


def prose(path: Path) -> str:
    """A document without its blocks and without code in a line."""
    return re.sub(r"`[^`\n]*`", "", FENCED.sub("", path.read_text("utf-8")))


def headings(path: Path) -> list[tuple[int, str]]:
    return [(len(marks), words.strip()) for marks, words in HEADING.findall(FENCED.sub("", path.read_text("utf-8")))]


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings, `-1` and so on after those that come again."""
    found: dict[str, int] = {}
    made = set()
    for _, words in headings(path):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        made.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return made


def links(path: Path) -> list[str]:
    """The targets of all links and pictures of a document."""
    return [inside or address for inside, address in LINK.findall(prose_with_code(path))]


def prose_with_code(path: Path) -> str:
    """A document without its blocks."""
    return FENCED.sub("", path.read_text("utf-8"))
