"""What the fuzzer ever found, and the vendor's payloads: none of them breaks what is promised."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutation import mutate
from tests.fuzz.subjects import SUBJECTS, callback, reply

HERE = Path(__file__).parent
PAYLOADS = sorted((HERE.parent / "payloads").glob("*.json"))


@pytest.mark.parametrize("name", SUBJECTS)
def test_findings_stay_mended(name: str) -> None:
    for file in (HERE / "findings" / name).glob("[!.]*"):
        SUBJECTS[name](file.read_bytes())


@pytest.mark.parametrize("file", PAYLOADS, ids=lambda file: file.stem)
def test_payloads_are_seeds(file: Path) -> None:
    """They are what the fuzzer begins with: each is judged by every subject."""
    for subject in SUBJECTS.values():
        subject(file.read_bytes())


@given(st.sampled_from(PAYLOADS), st.lists(st.integers(0, 2**32), min_size=1, max_size=6))
def test_changed_payloads(file: Path, seeds: list[int]) -> None:
    """One of the vendor's, changed in some places as the fuzzer changes it."""
    data = file.read_bytes()
    for seed in seeds:
        data = mutate(data, 4096, seed, lambda kept, _most: kept)
    reply(data)
    callback(data)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes(data: bytes) -> None:
    reply(data)
    callback(data)
