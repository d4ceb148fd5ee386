"""What a Prometheus would have stored of an exporter's scrapes, as the input of `promtool test rules`."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
CLOCK = "_timestamp_seconds"
ABSENT, STALE = "_", "stale"
EVER = 'group by (alertname) (last_over_time(ALERTS{alertstate="firing"}[2d]))'
"""The names of all alerts that have fired so far."""


@dataclass(frozen=True)
class Alert:
    """A firing alert: its labels, and all of its annotations where a test wants to read them."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] | None = None

    @property
    def sample(self) -> Mapping[str, str]:
        """The labels of its sample among ALERTS."""
        return {"__name__": "ALERTS", "alertname": self.name, "alertstate": "firing", **self.labels}


@dataclass
class Tape:
    """Series by the number of the scrape. `begins` is the clock (Unix seconds) at the first; `names` are kept.

    `every` so many seconds there is a scrape, and an evaluation of the rules.
    """

    begins: float
    names: frozenset[str]
    every: int = 30
    scrapes: int = 0
    series: dict[str, dict[int, str]] = field(default_factory=dict)

    def take(self, texts: Mapping[str, str]) -> None:
        """One scrape: the texts of all targets, by the labels that Prometheus adds (`job="x",instance="y"`)."""
        for added, text in texts.items():
            for name, labels, value in SAMPLE.findall(text):
                if name in self.names:
                    key = f"{name}{{{added}{',' if labels else ''}{labels}}}"
                    self.series.setdefault(key, {})[self.scrapes] = self._value(name, float(value))
        self.scrapes += 1

    @property
    def at(self) -> int:
        """The time of the latest scrape, in seconds since the first."""
        return (self.scrapes - 1) * self.every

    def input_series(self) -> list[dict[str, str]]:
        """All series in promtool's notation; a series that ends is marked stale, as Prometheus does it."""
        return [{"series": key, "values": self._values(taken)} for key, taken in self.series.items()]

    def _value(self, name: str, value: float) -> str:
        """Promtool's clock begins at 0, so that each time is told from the beginning of the tape."""
        moved = value - self.begins if name.endswith(CLOCK) else value
        return f"{moved:.3f}".rstrip("0").rstrip(".")

    def _values(self, taken: Mapping[int, str]) -> str:
        values = [taken.get(scrape, STALE if scrape - 1 in taken else ABSENT) for scrape in range(self.scrapes)]
        return " ".join(_run(value, len(list(same))) for value, same in groupby(values))


def selector(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels.items())) + "}"


@dataclass(frozen=True)
class Moment:
    """What fires, and nothing else does, so many seconds after the first scrape."""

    at: int
    alerts: tuple[Alert, ...]


@dataclass(frozen=True)
class Question:
    """A query so many seconds after the first scrape, and the label sets and values that answer it."""

    expression: str
    at: int
    answer: tuple[tuple[Mapping[str, str], float], ...]


def unit_test(
    tape: Tape,
    rule_files: Iterable[Path],
    moments: Iterable[Moment],
    questions: Iterable[Question],
) -> dict[str, Any]:
    """The document for promtool: all that fires at each moment, worded where it has words, and nothing else ever."""
    moments = tuple(moments)
    names = sorted({alert.name for moment in moments for alert in moment.alerts})
    ever = Question(EVER, tape.at, tuple(({"alertname": name}, 1) for name in names))
    return {
        "rule_files": [str(file) for file in rule_files],
        "evaluation_interval": f"{tape.every}s",
        "tests": [
            {
                "interval": f"{tape.every}s",
                "input_series": tape.input_series(),
                "promql_expr_test": [_asked(question) for question in (*_firing(moments), ever, *questions)],
                "alert_rule_test": [
                    _worded(name, moment)
                    for moment in moments
                    for name in sorted({alert.name for alert in moment.alerts if alert.annotations})
                ],
            }
        ],
    }


def run_promtool(promtool: Path, document: Mapping[str, Any], file: Path) -> str:
    """What promtool has against it; empty when the rules do as is expected."""
    file.write_text(json.dumps(document, indent=1))
    fewer_collections = os.environ | {"GOGC": "400"}  # half of the CPU went into collecting garbage
    done = subprocess.run(
        [promtool, "test", "rules", file], env=fewer_collections, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _run(value: str, times: int) -> str:
    if times == 1 or value == STALE:
        return " ".join([value] * times)
    return f"{value}x{times}" if value == ABSENT else f"{value}+0x{times - 1}"


def _firing(moments: Iterable[Moment]) -> Iterator[Question]:
    for moment in moments:
        yield Question('ALERTS{alertstate="firing"}', moment.at, tuple((alert.sample, 1) for alert in moment.alerts))


def _asked(question: Question) -> dict[str, Any]:
    samples = [{"labels": selector(labels), "value": value} for labels, value in question.answer]
    return {"expr": question.expression, "eval_time": f"{question.at}s", "exp_samples": samples}


def _worded(name: str, moment: Moment) -> dict[str, Any]:
    expected = [
        {"exp_labels": dict(alert.labels), "exp_annotations": dict(alert.annotations or {})}
        for alert in moment.alerts
        if alert.name == name
    ]
    return {"eval_time": f"{moment.at}s", "alertname": name, "exp_alerts": expected}
