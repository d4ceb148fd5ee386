"""docs/architecture.md is true: its files, threads, locks and terms are those of the code; one name means one thing."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from docs.source.log_events import events
from tests.docs.reading import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "exporter"
PRIVATE_WORDS = re.compile(
    r"\b(house|desks?|doors?|seats?|shel(?:f|ves)|boards?|beats?|lineup|hearing|standings?|whoever|nobody"
    r"|patience|ledgers?|pacers?|strikes?|foresaw|lapses?|gates?)\b",
    re.IGNORECASE,
)


@cache
def trees() -> dict[Path, ast.Module]:
    """Every module of the package, parsed."""
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def section(title: str) -> str:
    return re.split(r"^## ", TEXT.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def terms(title: str) -> list[str]:
    """The code in the first column of a section's table."""
    return re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)


def definitions() -> dict[str, list[Path]]:
    """Where each class and type alias of the package is defined."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(path)
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id].append(path)
    return found


def test_each_term_of_the_glossary_is_in_the_code() -> None:
    known = definitions()
    assert len(terms("Glossary")) > 25
    assert [term for term in terms("Glossary") if term not in known] == []


def test_no_class_name_is_used_twice() -> None:
    classes: defaultdict[str, list[str]] = defaultdict(list)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes[node.name].append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in classes.items() if len(places) > 1} == {}


def test_each_file_that_is_named_is_there() -> None:
    """Paths are below exporter/."""
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", TEXT))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (PACKAGE / path).exists()] == []


def test_each_lock_that_is_named_is_there() -> None:
    """`Class.attribute`, as the code has it."""
    named = re.findall(r"`(\w+)\.(_?\w+)`", section("Locks"))
    owners = {owner for owner, _ in named}
    sources = {
        node.name: ast.unparse(node)
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name in owners
    }
    assert len(named) >= 8
    assert [f"{owner}.{lock}" for owner, lock in named if f"self.{lock} = " not in sources.get(owner, "")] == []


def test_what_one_looks_for_is_in_the_first_file() -> None:
    """A newcomer finds it there, or follows the name to the second file."""
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \|$", section("Where is what"), re.MULTILINE)[1:]
    assert len(rows) > 10
    missing = []
    for files, words in rows:
        paths = [PACKAGE / name for name in re.findall(r"`([^`]+)`", files)]
        text = "".join(path.read_text() for path in paths if path.is_file())
        missing += [(files, word) for word in re.findall(r"`(\w+)`", words) if not re.search(rf"\b{word}\b", text)]
    assert missing == []


def private_names(path: Path) -> list[str]:
    """Private words in the name of a file, and in those of its classes and functions."""
    names = [path.stem, *re.findall(r"^ *(?:class|(?:async )?def) (\w+)", path.read_text(), re.MULTILINE)]
    words = {name: re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name) for name in names}
    return [f"{path.relative_to(ROOT)}: {name}" for name in names if PRIVATE_WORDS.search(words[name])]


def test_names_of_tests_and_events_are_the_field_s() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert [name for path in files for name in private_names(path)] == []
    assert [event.name for event in events() if PRIVATE_WORDS.search(event.name)] == []


def test_words_are_the_field_s() -> None:
    """No module, class, function or docstring uses a private word."""
    found: list[str] = []
    for path, tree in trees().items():
        place = path.relative_to(ROOT)
        found += private_names(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                words = PRIVATE_WORDS.findall(ast.get_docstring(node) or "")
                found += [f"{place}:{getattr(node, 'lineno', 1)} docstring: {word}" for word in words]
    assert found == []
