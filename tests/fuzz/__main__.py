"""`python -m tests.fuzz SECONDS` in an environment with atheris: every subject for so long; 1 when something is found.

`python -m tests.fuzz SUBJECT [LIBFUZZER'S OPTIONS]` runs one. A finding is written to tests/fuzz/findings, to be mended
and committed: tests/fuzz/test_findings.py then keeps it from coming back.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["exporter.model", "exporter.volcengine"]):
    from tests.fuzz.mutation import mutate
    from tests.fuzz.subjects import SEEDS, SUBJECTS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAYLOADS = ROOT / "tests" / "payloads"
MAX_INPUT = 4096


def run_one(name: str, options: Sequence[str]) -> None:
    """Until time is over or something is found; does not come back."""
    subject = SUBJECTS[name]
    atheris.Setup([name, *options], lambda data: subject(bytes(data)), custom_mutator=_mutate)
    atheris.Fuzz()


def _mutate(data: bytes, most: int, seed: int) -> bytes:
    return mutate(bytes(data), most, seed, atheris.Mutate)


def run_all(seconds: int) -> bool:
    """One after the other, each in a process; whether nothing is found."""
    done = []
    for name in SUBJECTS:
        corpus = ROOT / "build" / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        (corpus / "seed").write_text(SEEDS[name])
        findings = HERE / "findings" / name
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={MAX_INPUT}",
            f"-artifact_prefix={findings}/",
            "-verbosity=0",
            "-print_final_stats=1",
        ]
        command = [sys.executable, "-m", "tests.fuzz", name, *options, str(corpus), str(findings), str(PAYLOADS)]
        done.append(subprocess.run(command, cwd=ROOT, check=False).returncode)
        sys.stdout.write(f"{name}: {'something was found' if done[-1] else 'nothing was found'} in {seconds} s\n")
    return not any(done)


if __name__ == "__main__":
    first, *others = sys.argv[1:]
    if first in SUBJECTS:
        run_one(first, others)
    sys.exit(not run_all(int(first)))
