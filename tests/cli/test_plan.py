import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import Result

Run = Callable[..., Result]
ONE = "accounts: [{name: default}]"
TWO = "accounts: [{name: one, app_ids: [a]}, {name: two, app_ids: [b], max_qps: 2}]"


@pytest.fixture
def planned(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`planned("polling: {...}", "--tasks", "7")`: what is printed, with runs of spaces as one; no call is made."""

    def refused(*_arguments: Any) -> NoReturn:
        pytest.fail("plan opened a connection")

    def made(text: str, *arguments: str) -> str:
        file = tmp_path / "config.yml"
        file.write_text(text)
        monkeypatch.setattr(socket.socket, "connect", refused)
        result = run("plan", "--config.file", str(file), *arguments)
        assert (result.exit_code, result.stderr) == (0, "")
        return re.sub(" +", " ", result.stdout)

    return made


def test_what_fits(planned: Callable[..., str]) -> None:
    """All that the contract names is told, in a table, without credentials."""
    text = planned(ONE, "--tasks", "500")
    rows = (
        "account default",
        "running tasks 500",
        "calls needed 16.667/s",
        "budget (max_qps) 48/s",
        "interval in force 30.0 s, polling.interval is 30s",
        "fast interval in force 5.0 s, polling.fast_interval is 5s",
        "an end is seen within 30.0 s and the time of a call",
        "polling.interval that fits 11s or longer",
        "It fits: nothing is stretched.",
        "tasks with series 500",
    )
    for row in rows:
        assert row in text
    assert re.search(r"series [0-9,]+ \([0-9]+ a task\)", text)
    assert re.search(r"bytes [0-9,]+ \([0-9,]+ a task\), before gzip", text)


@pytest.mark.parametrize(("tasks", "rate"), [("1", "0.033"), ("2", "0.067"), ("3", "0.100"), ("100000", "3333.333")])
def test_rates_have_three_digits(planned: Callable[..., str], tasks: str, rate: str) -> None:
    """A few tasks need less than a call a second."""
    assert f"calls needed {rate}/s" in planned(ONE, "--tasks", tasks)


def test_what_does_not_fit(planned: Callable[..., str]) -> None:
    """It says by how much, what happens then and what can be done; a good configuration is exit 0 all the same."""
    text = planned(ONE, "--tasks", "3600")
    sentences = (
        "interval in force 76.5 s, polling.interval is 30s",
        "Over the budget by 72.000/s: the intervals are stretched, nothing is skipped.",
        "raise polling.interval to 1m17s\n",
        "split the tasks over 3 accounts like this one\n",
        "(max_qps alone cannot do it: the vendor allows 60/s)",
    )
    for sentence in sentences:
        assert sentence in text


def test_what_nearly_fits(planned: Callable[..., str]) -> None:
    """Within the budget but over what is sure of it is stretched too, and said to be."""
    text = planned(ONE, "--tasks", "1440")
    assert "Over the 98% of the budget that is sure: the intervals are stretched" in text
    assert "raise max_qps to 49; your own services share the vendor's 60/s" in text


def test_no_interval_helps_where_the_fast_reads_are_too_many(planned: Callable[..., str]) -> None:
    """The other key is named instead."""
    text = planned("accounts: [{name: default, max_qps: 2}]", "--tasks", "50", "--starts-per-day", "100000")
    assert "polling.interval that fits none: raise polling.fast_interval too" in text
    assert "raise polling.fast_interval: no polling.interval alone is long enough" in text
    assert "starts a day 100,000" in text


def test_several_accounts(planned: Callable[..., str]) -> None:
    """A block each, one scrape for all, and a word on how the tasks were shared."""
    text = planned(TWO, "--tasks", "401")
    assert re.findall(r"account (\w+)\n running tasks (\d+)", text) == [("one", "201"), ("two", "200")]
    assert re.findall("tasks with series (.*)", text) == ["401"]
    assert "shared evenly over 2 accounts" in text


@pytest.mark.parametrize(
    ("assumption", "arguments"),
    [
        ("as many as static_configs lists, or 1,000 when it lists none", ()),
        ("at the fast interval for 60 s before it runs and 120 s around its limit", ("--starts-per-day", "100")),
        ("series stay for 20m (lifecycle.linger) after its end", ("--starts-per-day", "100")),
        ("no call fails; stopped targets that are still listed take no more than a tenth", ()),
    ],
)
def test_what_is_assumed_is_told(planned: Callable[..., str], assumption: str, arguments: tuple[str, ...]) -> None:
    """Each assumption stands below the numbers that lean on it, and only there."""
    text = "lifecycle: {linger: 20m}"
    assert assumption in planned(text, *arguments)
    if arguments:
        assert assumption not in planned(text)


def test_an_assumption_about_the_lists_is_told_only_when_they_were_asked(planned: Callable[..., str]) -> None:
    """With --tasks nothing is taken from them, and one account has all of them."""
    text = planned(ONE, "--tasks", "7")
    assert "static_configs" not in text
    assert "shared" not in text


def test_tasks_without_series(planned: Callable[..., str]) -> None:
    """Beyond `max_tasks`; the key is named."""
    text = planned("metrics: {max_tasks: 1000}", "--tasks", "3600")
    assert "tasks with series 1,000, 2,600 without: metrics.max_tasks" in text


def test_secrets_are_not_told(planned: Callable[..., str]) -> None:
    """Keys that stand in the file stay there."""
    assert "canary" not in planned("accounts: [{access_key_id: canary-ak, secret_access_key: canary-sk}]")


def test_the_tables_are_aligned(run: Run, tmp_path: Path) -> None:
    """Every value of a block begins in the same column."""
    file = tmp_path / "config.yml"
    file.write_text(ONE)
    block = run("plan", "--config.file", str(file)).stdout.partition("\n\n")[0].splitlines()[1:-1]
    assert {re.match(r"  \S.*?  +", line).end() for line in block} == {30}  # type: ignore[union-attr]  # each has a name


@pytest.mark.parametrize("arguments", [("--tasks", "0"), ("--tasks", "many"), ("--starts-per-day", "-1")])
def test_bad_usage(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("plan", "--config.file", "x", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("webcast-exporter: invalid value for '--")


def test_a_bad_configuration(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text("accounts: [{max_qps: 0}]\npolling: {interval: 0s}\n")
    result = run("plan", "--config.file", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    for path in ("accounts[0].max_qps: ", "polling.interval: "):
        assert path in result.stderr
