"""The tables of the state, and what came to them since there was a schema 1.

A column (nullable or with a default) or a table that a release only adds leaves SCHEMA_VERSION as it is, so that the
release before it goes on reading; the number rises when that one no longer could, and it then refuses.
"""

import sqlalchemy as sa
from sqlalchemy import Column, Float, Integer, String, Table, Text

SCHEMA_VERSION = 1

METADATA = sa.MetaData()

META = Table(
    "meta",
    METADATA,
    Column("schema_version", Integer, nullable=False),
    Column("term", Integer),  # how often a state on a server was opened
    Column("resigned", Integer),  # the latest of these terms that ended in good order
)

RUNS = Table(
    "runs",
    METADATA,
    Column("app_id", String(128), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("task_id", String(128), primary_key=True),
    Column("first_seen", Float, primary_key=True),
    Column("start", Float),
    Column("entered", String(64), nullable=False),  # statuses, separated by spaces
    Column("stopped", String(32)),
    Column("end_seen", Float),
    Column("last", Text),  # the last state as JSON, without what may be secret
    Column("earlier", Text, nullable=False),  # StartTimes of the target's earlier runs, separated by spaces
    Column("page_refreshes", Integer, nullable=False, server_default="0"),
    Column("page_reschedules", Integer, nullable=False, server_default="0"),
    Column("page_latest", Text),  # the latest page event of each kind as JSON: [[action, reason, time], ...]
    Column("labels", Text),  # once it is over: its target's info labels then, a JSON object of texts
    sa.Index("runs_by_end", "end_seen"),
)

TOTALS = Table(
    "totals",
    METADATA,
    Column("total", String(64), primary_key=True),
    Column("app_id", String(128), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("bucket", String(16), primary_key=True),
    Column("value", Float, nullable=False),
)

KEPT_TARGETS = Table(
    "pushed_targets",
    METADATA,
    Column("source", String(16), primary_key=True),
    Column("app_id", String(128), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("task_id", String(128), primary_key=True),
    Column("labels", Text, nullable=False),  # a JSON object of texts, the two expected times among them
    Column("renewed_at", Float, nullable=False),
)

HEARD = Table(
    "heard_callbacks",
    METADATA,
    Column("app_id", String(128), primary_key=True),
    Column("event_id", String(256), primary_key=True),
    Column("heard_at", Float, nullable=False),
    sa.Index("heard_by_time", "heard_at"),
)

INBOX = Table(
    "inbox",  # what a standby has taken in for the one that reads, until that one has acted on it
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Float, nullable=False),
)

ADDED_TABLES = (KEPT_TARGETS, HEARD, INBOX)
ADDED_COLUMNS = (
    META.c.term,
    META.c.resigned,
    RUNS.c.page_refreshes,
    RUNS.c.page_reschedules,
    RUNS.c.page_latest,
    RUNS.c.labels,
)
"""What a state of schema 1 may be without; opening it adds them."""
