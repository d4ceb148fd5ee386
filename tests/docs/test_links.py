"""Links lead somewhere: files exist, and so do the headings in them."""

import fnmatch
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from exporter.bundle.files import bundle
from tests.docs.reading import ROOT, anchors, documents, links, prose_with_code


def dead(path: Path) -> list[str]:
    """The links of a document, to files of the repository, that lead nowhere."""
    found = []
    for link in links(path):
        if link.startswith(("http://", "https://", "mailto:", "/")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """A file that moved, or a heading that was written anew, takes its links along."""
    assert dead(path) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# One `two` /-three\n[a](#one-two--three) [b](#two) [c](b.md) [d](https://x.example/y)\n")
    assert dead(document) == ["#two", "b.md"]


def test_each_file_that_contributors_are_sent_to_is_there() -> None:
    """In words, beside the links: files and folders of the repository."""
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", prose_with_code(ROOT / "CONTRIBUTING.md")))
    assert len(named) > 20
    folders = {path.replace("NAME.json", "") for path in named if not path.startswith("ghcr.io/OWNER/")}
    assert [path for path in sorted(folders) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_of_the_export_have_their_names(path: Path) -> None:
    """`dashboards export webcast` writes each file and folder that a document names in `webcast/`."""
    named = re.findall(r"(?:^|[\s`'])webcast/([\w./*-]+)", path.read_text(), re.MULTILINE)
    written = [str(each) for name in bundle() for each in (Path(name), *Path(name).parents)]
    assert [name for name in named if not fnmatch.filter(written, name.rstrip("/"))] == []


def test_every_document_is_linked() -> None:
    """Readers find a document by a link."""
    linked = {(path.parent / link.partition("#")[0]).resolve() for path in documents() for link in links(path)}
    beginnings = {"README.md", "CHANGELOG.md", "SECURITY.md"}
    assert [str(path) for path in documents() if path not in linked and path.name not in beginnings] == []
