"""Write the figures that `plan` prints into the READMEs, docs/operations.md and docs/faq.md (`make docs`)."""

import re
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from click.testing import CliRunner

from exporter.cli.group import main

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
DOCUMENTS = (README, ROOT / "README.zh-CN.md", ROOT / "docs" / "operations.md", ROOT / "docs" / "faq.md")
ROW = re.compile(r"^\| ([\d,]+) \| .* \|$", re.MULTILINE)
SHOWN = re.compile(r"^\$ webcast-exporter (plan .*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
SERIES = re.compile(r"(bounded: )\d+( series a task.*?`metrics\.groups: \[\]` leaves )\d+", re.DOTALL)
CELLS = (r"calls needed +(\S+)", r"interval in force +(\S+ s)", r"seen within +(\S+ s)", r"bytes +(\S+)")


def configuration() -> str:
    """The whole configuration file of README.md, the last one that it shows."""
    blocks: list[str] = re.findall(r"^```yaml\n(accounts:.*?)^```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return blocks[-1]


def plan(arguments: str, more: str = "") -> str:
    """What the command prints with README's configuration and `more` sections."""
    with TemporaryDirectory() as folder, chdir(folder):
        Path("webcast-exporter.yml").write_text(configuration() + more)
        Path("keys").mkdir()
        for name in ("callback-secrets", "push-tokens"):
            (Path("keys") / name).touch(mode=0o600)
            (Path("keys") / name).write_text("a-secret-of-the-figures")
        result = CliRunner().invoke(main, arguments.split())
    if result.exit_code:
        raise RuntimeError(result.output)
    return result.stdout


def row(tasks: str) -> str:
    """A row of README's table of sizes."""
    printed = plan(f"plan --config.file webcast-exporter.yml --tasks {tasks.replace(',', '')}")
    calls, interval, delay, size = (re.findall(pattern, printed)[0] for pattern in CELLS)
    accounts = (re.findall(r"split the tasks over (\d+)", printed) or ["1"])[0]
    return f"| {tasks} | {calls} | {interval} | {delay} | {accounts} | {size} |"


def series_a_task(more: str = "") -> str:
    """Series of one task with these sections."""
    printed = plan("plan --config.file webcast-exporter.yml --tasks 100", more)
    return str(re.findall(r"\((\d+) a task\)", printed)[0])


def updated(path: Path) -> str:
    """The document with the figures of today's code."""
    text = path.read_text("utf-8")
    if path.name.startswith("README"):
        return ROW.sub(lambda found: row(found[1]), text)
    # Outputs in one block are separated by a blank line; the last one ends with its block.
    text = SHOWN.sub(
        lambda found: f"$ webcast-exporter {found[1]}\n{plan(found[1]).rstrip()}\n" + "\n" * found[2].endswith("\n\n"),
        text,
    )
    return SERIES.sub(
        lambda found: found[1] + series_a_task() + found[2] + series_a_task("metrics: {groups: []}\n"), text
    )


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(updated(document), "utf-8")
