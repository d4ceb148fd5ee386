"""Meaning and example of each key of the sections that say how tasks are read, kept and shown."""

from exporter.config.schema import Problems

POLLING = {
    "interval": ("A running task is read so often.", "interval: 1m"),
    "fast_interval": (
        "One that has not started or is unknown (the first 10 min of it), or is within 1 min of its limit.",
        "fast_interval: 10s",
    ),
    "max_backoff": ("The longest wait of a target, app or account whose reads are refused.", "max_backoff: 2m"),
    "stale_after": (
        "Status series go when nothing was fresh for so long; for 3 times the interval in force, if that is longer.",
        "stale_after: 5m",
    ),
    "reread_stopped": (
        "A stopped task that is still listed is read so often, to see a new run; from at most a tenth of the budget.",
        "reread_stopped: 30m",
    ),
}
LIFECYCLE = {
    "linger": ("A stopped task's series stay so long after its end was seen.", "linger: 30m"),
    "drain": ("A live run that no source lists any more is read on for at most so long.", "drain: 1h"),
    "forget_unknown_after": (
        "A target that the API never knew: a pushed or called-back one goes after it, others are read so rarely.",
        "forget_unknown_after: 2h",
    ),
    "history": ("Stopped runs are kept in the state for so long.", "history: 30d"),
}
PROBLEMS = {
    name: (field.description or "", str((field.examples or [""])[0])) for name, field in Problems.model_fields.items()
}
METRICS = {
    "groups": ("Per-task series beside the core ones, which are always there.", "groups: [monitor]"),
    "info_labels": ("Target labels that are let onto `webcast_task_info`.", "info_labels: [team, page]"),
    "max_tasks": (
        "Tasks with series; all are read. Failed and running ones stay, the longest stopped go first; 0 = none.",
        "max_tasks: 5000",
    ),
}
A_STATE = (
    "From the working directory; four slashes for an absolute path. `sqlite://` = memory: a restart forgets. "
    "`postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`: [PostgreSQL](operations.md#a-state-in-postgresql)."
)
STATE = {"url": (A_STATE, "url: sqlite:////var/lib/webcast-exporter/state.db")}
HA = {"enabled": ("Several processes over one PostgreSQL: one reads, the others stand by.", "enabled: true")}
