"""Task, first rows: what it is doing, and its times and limits."""

from dashboards.source.fields import FACT, dashed, fixed, override
from dashboards.source.frame import Row
from dashboards.source.over_time import lines, timeline
from dashboards.source.panels import Query, Size, gauge, stat
from dashboards.source.queries import TASK, left
from dashboards.source.task import codes

WORD, TIME = Size(6, 4), Size(4, 4)
CLOCK = "dateTimeAsIsoNoDateIfToday"
NO_TASK = "No such task is known: click one on Fleet"

ROW = Row(
    "What is it doing?",
    [
        stat(
            "Status",
            WORD,
            Query(codes.STATE),
            steps=(),
            words=codes.STATE_WORDS,
            none=NO_TASK,
            loud=True,
        ),
        stat(
            "Why it stopped",
            WORD,
            Query(codes.STOPPED),
            steps=(),
            words=codes.STOP_WORDS,
            none="It has not stopped",
        ),
        stat(
            "Latest read",
            WORD,
            Query(codes.LATEST_READ),
            steps=(),
            words=codes.READ_WORDS,
            none="Not read yet",
        ),
        stat(
            "Last good read",
            WORD,
            Query(f"time() - {codes.LAST_GOOD_READ}"),
            steps=((0, "green"), (120, "orange"), (600, "red")),
            unit="s",
            none="Never",
        ),
        timeline(
            "Status, reads and class over time",
            Size(24, 6),
            (Query(codes.STATE, "status"), codes.STATE_WORDS),
            (Query(codes.LATEST_READ, "reads"), codes.READ_WORDS),
            (Query(codes.CLASS, "class"), codes.CLASS_WORDS),
        ),
    ],
)

_CUT = f"{codes.EXPECTED_END} - {codes.START} - {codes.LIMIT}"

TIMES = Row(
    "Its times and limits",
    [
        stat(
            "Started",
            TIME,
            Query(f"1000 * {codes.START}"),
            steps=FACT,
            unit=CLOCK,
            none="It has not started",
        ),
        stat(
            "Ran for",
            TIME,
            Query(codes.DURATION),
            steps=FACT,
            unit="dthms",
            none="It has not run",
        ),
        stat(
            "Ended",
            TIME,
            Query(f"1000 * {codes.END}"),
            steps=FACT,
            unit=CLOCK,
            none="It has not ended",
        ),
        stat(
            "MaxRunningTime",
            TIME,
            Query(codes.LIMIT),
            steps=FACT,
            unit="dthms",
            none="Not known",
        ),
        stat(
            "Class starts",
            TIME,
            Query(f"1000 * {codes.EXPECTED_START}"),
            steps=FACT,
            unit=CLOCK,
            none="Not said",
        ),
        stat(
            "Class ends",
            TIME,
            Query(f"1000 * {codes.EXPECTED_END}"),
            steps=FACT,
            unit=CLOCK,
            none="Not said",
        ),
        lines(
            "Running time against its limit",
            Size(12, 8),
            Query(codes.DURATION, "running time"),
            Query(codes.LIMIT, "MaxRunningTime"),
            Query(f"{codes.EXPECTED_END} - {codes.START}", "until its class ends"),
            unit="s",
            overrides=[
                override("running time", {"color": fixed("green"), "custom.fillOpacity": 25}),
                override("MaxRunningTime", dashed("red")),
                override("until its class ends", dashed("light-blue")),
            ],
            noValue="It has not started",
        ),
        gauge(
            "MaxRunningTime used",
            Size(4, 8),
            Query(f"{codes.DURATION} / {codes.LIMIT}"),
            unit="percentunit",
            steps=((0, "green"), (0.8, "orange"), (0.95, "red")),
            max=1,
            decimals=0,
            noValue="It has not run",
        ),
        stat(
            "Time left",
            Size(4, 8),
            Query(f"{left(TASK)}\n{codes.NOT_OVER}"),
            steps=((-1e9, "red"), (600, "orange"), (3600, "green")),
            unit="dthms",
            none="It does not run",
        ),
        stat(
            "Cut before its class ends",
            Size(4, 8),
            Query(f"clamp_min({_CUT}, 0)\n{codes.NOT_OVER}"),
            steps=((0, "green"), (1, "orange"), (600, "red")),
            unit="dthms",
            none="Not running, or no class",
        ),
    ],
)
