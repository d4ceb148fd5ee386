"""What can be told without a running exporter, from its state file alone."""

import math
from typing import Any

from exporter.config.schema import Config
from exporter.discovery.merge import AccountOf
from exporter.errors import StartError
from exporter.store.database import reading_file
from exporter.store.run_table import RunQuery, stopped_runs
from exporter.web.serializers import run_json


def runs_in_state(config: Config, wanted: RunQuery) -> tuple[list[dict[str, Any]], int]:
    """One page of the stopped runs, and how many pages there are. StartError when the state cannot be read."""
    if config.state.path is None:
        raise StartError("the state is no file: ask the running exporter, with --url")
    account_of = AccountOf(config.accounts)
    with reading_file(config.state.path) as connection:
        found = stopped_runs(connection, wanted)
    both = zip(found.runs, found.labels, strict=True)
    rows = [run_json(run, account_of(run.target.app_id), labels) for run, labels in both]
    return rows, max(1, math.ceil(found.total / wanted.limit))
