"""The two READMEs say the same: headings, blocks, pictures and links are each other's, in the same order."""

import re

from exporter import __version__
from tests.docs.reading import ROOT, Block, anchors, blocks_of, headings, links

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
HAN = re.compile(r"[\u4e00-\u9fff]")


def without_comments(block: Block) -> tuple[str, str]:
    """A block's kind and text; what stands after a # is for people."""
    return block.kind, re.sub(r"(?m)\s*#.*$", "", block.text)


def test_they_have_the_same_blocks() -> None:
    """A reader of either one types the same."""
    assert [without_comments(block) for block in blocks_of(CHINESE)] == [
        without_comments(block) for block in blocks_of(ENGLISH)
    ]


def test_they_have_the_same_headings() -> None:
    """As many, as deep, in the same order; numbers are the same."""

    def shape(path_headings: list[tuple[int, str]]) -> list[tuple[int, str]]:
        return [(depth, re.sub(r"\D", "", words)) for depth, words in path_headings]

    assert shape(headings(CHINESE)) == shape(headings(ENGLISH))
    assert len(anchors(CHINESE)) == len(headings(CHINESE))


def test_they_have_the_same_links() -> None:
    """To the same places, each to the other at the top."""
    english, chinese = links(ENGLISH), links(CHINESE)
    assert (english[0], chinese[0]) == (CHINESE.name, ENGLISH.name)
    assert chinese[1:] == english[1:]


def test_they_count_the_alerts() -> None:
    """An alert that is added is one more in both."""
    rules = (ROOT / "dashboards" / "prometheus" / "alerts.yml").read_text()
    number = len(set(re.findall(r"(?m)^ *- alert: (\w+)$", rules)))
    assert f"[{number} alerts]" in ENGLISH.read_text()
    assert f"[{number} 条告警]" in CHINESE.read_text()


def test_they_have_the_same_code_in_words() -> None:
    """Names of keys, commands and paths are not translated, and none is left out."""

    def spoken(text: str) -> list[str]:
        return sorted(set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))))

    assert spoken(CHINESE.read_text()) == spoken(ENGLISH.read_text())


def test_each_is_in_its_language() -> None:
    """A paragraph that was forgotten would be in the other one."""
    paragraphs = re.split(r"\n\s*\n", re.sub(r"```.*?```", "", CHINESE.read_text(), flags=re.DOTALL))
    foreign = [text for text in paragraphs if len(text) > 60 and len(HAN.findall(text)) < 10]
    assert foreign == []
    assert len(HAN.findall(ENGLISH.read_text())) < 10


def test_they_name_the_image_of_this_version() -> None:
    """The two have the same blocks."""
    assert re.findall(r"ghcr\.io/OWNER/webcast-exporter:(\S+)", ENGLISH.read_text()) == [f"v{__version__}"]
