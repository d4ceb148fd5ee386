"""Fleet: how many in which status, and how runs start, stop and last."""

from dashboards.source.fields import fixed, override
from dashboards.source.frame import Row
from dashboards.source.over_time import lines
from dashboards.source.panels import Query, Size, bars, stat
from dashboards.source.queries import APP, grown, per_minute, quantile, total
from dashboards.source.words import STANDINGS, STOPS
from exporter.enums import Status
from exporter.model.task_state import DisplayStatus
from exporter.store.totals import DURATION_BUCKETS

_RUNNING = APP("webcast_tasks", status=DisplayStatus.RUNNING)
_ENTERED = f"{Status.NOT_STARTED}|{Status.RUNNING}|{Status.UNKNOWN}"
_BUCKETS = "webcast_run_duration_seconds_bucket"


def _length(seconds: float) -> str:
    """A bucket's bound for a person."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"up to {seconds / size:g} {unit}"
    return f"up to {seconds:g} s"


STATUSES = Row(
    "The fleet over time",
    [
        lines(
            "Tasks by status",
            Size(14, 9),
            *(Query(total(APP("webcast_tasks", status=name)), word.text) for name, word in STANDINGS.items()),
            stacked=True,
            legend=["lastNotNull", "max"],
            words={word.text: word for word in STANDINGS.values()},
            decimals=0,
        ),
        lines(
            "Running tasks by app",
            Size(10, 9),
            Query(
                f"{total(_RUNNING, 'app_id')}\n"
                f"and topk(10, sum by (app_id) (max_over_time({_RUNNING}[$__range] @ end())))",
                "{{app_id}}",
            ),
            decimals=0,
        ),
    ],
)

_STOPS = APP("webcast_run_stops_total")

ENDINGS = Row(
    "Starting and stopping",
    [
        lines(
            "Runs entering a status, per minute",
            Size(12, 8),
            Query(per_minute(APP("webcast_run_transitions_total", status=_ENTERED), "status"), "{{status}}"),
            unit="short",
            legend=["mean", "max"],
            words={name: STANDINGS[name] for name in (Status.RUNNING, Status.NOT_STARTED, Status.UNKNOWN)},
        ),
        lines(
            "Runs stopping, per minute, by reason",
            Size(12, 8),
            Query(per_minute(_STOPS, "reason"), "{{reason}}"),
            unit="short",
            stacked=True,
            legend=["mean", "max"],
            words=STOPS,
        ),
        bars(
            "Stop reasons in this range",
            Size(8, 11),
            Query(f"sort_desc({grown(_STOPS, 'reason')})", "{{reason}}"),
            words=STOPS,
            decimals=0,
        ),
        bars(
            "How long runs lasted, in this range",
            Size(8, 11),
            Query(grown(APP(_BUCKETS), "le"), "{{le}}"),
            form="heatmap",
            overrides=[
                *(
                    override(rf"/^{bound:g}(\.0)?$/", {"displayName": _length(bound)}, matcher="byRegexp")
                    for bound in DURATION_BUCKETS
                ),
                override("+Inf", {"displayName": "longer"}),
            ],
            decimals=0,
        ),
        stat(
            "Run length in this range",
            Size(8, 11),
            *(
                Query(quantile(share, APP(_BUCKETS, status=status), "increase"), f"{status}, {name}")
                for status in (Status.ENDED, Status.FAILED)
                for share, name in ((0.5, "median"), (0.9, "90 %"))
            ),
            steps=((0, "blue"),),
            unit="s",
            decimals=1,
            none="no run stopped",
            overrides=[override("/^failed/", {"color": fixed("red")}, matcher="byRegexp")],
        ),
    ],
)
