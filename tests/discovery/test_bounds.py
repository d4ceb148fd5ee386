"""What a document costs is bounded by what becomes of it, not by its bytes alone."""

import subprocess
import sys

import pytest

from exporter.discovery.sd_format import MAX_LABELS, MAX_TARGETS, TargetGroup, read_groups
from exporter.enums import Rejection, Source

PROGRAM = """
import sys
from exporter.discovery.sd_format import SDSourceError, groups_of_json, groups_of_yaml, read_groups
from exporter.enums import Source

def memory(name):
    (line,) = (line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1])

for case in sys.stdin:
    kind, text = eval(case)
    open("/proc/self/clear_refs", "w").write("5")
    before = memory("VmRSS")
    try:
        said = len(read_groups(Source.FILE, (groups_of_yaml if kind == "yaml" else groups_of_json)(text)).rejected)
    except SDSourceError as error:
        said = len(str(error))
    print(memory("VmHWM") - before, said, flush=True)
    del text
"""
LONGEST = 20_000
"""Characters of what is said of a document, or entries that are not accepted: far more than is ever needed."""
CASES = [
    """"json", "[" + "{}," * (5 * 2**20) + "{}]" """,
    """"json", '[{"targets":["a/b/c"],"labels":{"a":"' + "x" * (15 * 2**20) + chr(0x1F600) + '"}}]'""",
    """"json", '[{"targets":["a/b/c"],"labels":{' + ",".join(f'"l{i}":""' for i in range(290000)) + "}}]" """,
    """"json", '[{"targets":["x' + '","x' * 290000 + '"]}]'""",
    """"json", "[" * 2**23""",
    """"yaml", "- {}\\n" * (3 * 2**20)""",
    """"yaml", "- targets: [a/b/c]\\n  labels: {a: '" + "x" * (15 * 2**20) + chr(0x1F600) + "'}\\n" """,
    """"yaml", "- targets:\\n" + "  - !x y\\n" * 290000""",
    """"yaml", "- targets: [a/b/c]\\n  labels:\\n" + "    a: x\\n" * 290000""",
    """"yaml", "- &a [x, x, x, x, x, x, x, x, x]\\n" + "".join(f"- &a{i} [{'*a, ' * 9}]\\n" for i in range(100000))""",
]


def test_no_document_takes_more_than_100_mib() -> None:
    """Tiny entries, wide characters, many labels, many problems and many aliases, each of up to 16 MiB."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(CASES),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = [[int(word) for word in line.split()] for line in ended.stdout.splitlines()]
    assert len(found) == len(CASES), ended.stderr
    assert [case for case, (kib, _) in zip(CASES, found, strict=True) if kib > 100 * 1024] == []
    assert [case for case, (_, said) in zip(CASES, found, strict=True) if said > LONGEST] == []


def test_a_group_has_a_bounded_number_of_labels() -> None:
    """One label too many costs the group, and is one problem."""
    labels = {f"l{number}": "" for number in range(MAX_LABELS)}
    groups = [TargetGroup(["a/b/c"], labels), TargetGroup(["a/b/d", "a/b/e"], {**labels, "more": ""})]
    listing = read_groups(Source.STATIC, groups)
    assert list(map(str, listing.targets)) == ["a/b/c"]
    assert [(each.targets, str(each.problem)) for each in listing.rejected] == [
        (2, "[1].labels: are more than 1,000 labels")
    ]


def test_a_list_has_a_bounded_number_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond it are rejected, one by one."""
    monkeypatch.setattr("exporter.discovery.sd_format.MAX_TARGETS", 3)
    listing = read_groups(Source.STATIC, [TargetGroup([f"a/b/{number}" for number in range(5)])])
    assert len(listing.targets) == 3
    assert [(each.reason, str(each.problem)) for each in listing.rejected] == [
        (Rejection.INVALID, f"[0].targets[{number}]: a/b/{number} is beyond the 3 targets of one list")
        for number in (3, 4)
    ]
    assert MAX_TARGETS == 100_000
