"""`demo`: simulator and exporter in one process, no credentials needed."""

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from exporter import logs
from exporter.cli.options import command, guide, listen_addresses, logging_options
from exporter.cli.simulate import described
from exporter.config.loader import parse_config
from exporter.service import serve as service
from exporter.service.exporter import Exporter
from exporter.simulator.callback_sender import DEMO_DELIVERY
from exporter.simulator.server import Simulation, SimulationOptions
from exporter.web.server import Listener

CONFIG = """\
accounts:
  - name: demo
    endpoint: {url}
    access_key_id: {access_key}
    secret_access_key: {secret_key}
http_sd_configs:
  - {{url: "{url}/targets", refresh_interval: 2s}}
callbacks: {{secret_file: {secret_file}}}
metrics: {{info_labels: [team]}}
polling: {{interval: 2s, fast_interval: 1s, stale_after: 10s, reread_stopped: 5s, max_backoff: 5s}}
problems: {{start_grace: 10s, not_found_grace: 5s, not_started_after: 3m, status_unknown_after: 2m, page_window: 2m}}
lifecycle: {{linger: 20s}}
state: {{url: "sqlite://"}}
"""
"""Runs are short at the demo's speed, so that the intervals are too; nothing stays on the disk."""


@command(
    short_help="Show the exporter at work, without an account.",
    epilog=guide(
        "demo --tasks 200",
        exits={0: "a clean stop", 1: "the port cannot be had", 2: "bad usage"},
        more={"Beside an exporter that runs": "demo --web.listen-address 127.0.0.1:10970"},
    ),
)
@listen_addresses("127.0.0.1:10960")
@click.option("--tasks", type=click.IntRange(5, 2_000), default=40, show_default=True, help="Number of tasks.")
@click.option("--speed", type=click.FloatRange(1, 600), default=60.0, show_default=True, help="Times class time.")
@logging_options(default_level="warn")
def demo(addresses: tuple[str, ...], tasks: int, speed: float, log_level: str, log_format: str) -> None:
    """Show the exporter at work on a simulated fleet: tasks that start, run, freeze, crash, time out and end."""
    logs.configure(log_level, log_format)
    with TemporaryDirectory() as folder, Simulation(SimulationOptions(tasks=tasks, speed=speed)) as simulation:
        config = parse_config(_config(simulation, Path(folder)), Path())

        def say(_exporter: Exporter, listener: Listener) -> None:
            simulation.send_callbacks(f"{listener.url}/callback", policy=DEMO_DELIVERY)
            click.echo(described(simulation))
            click.echo(f"Tasks: {listener.url}/tasks, metrics: {listener.url}/metrics. Ctrl-C ends it.")

        service.serve(lambda: config, addresses, {}, started=say, end_process=partial(os._exit, 0))


def _config(simulation: Simulation, folder: Path) -> str:
    credentials = simulation.credentials
    secret_file = folder / "callback-secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(simulation.options.callback_secret)
    return CONFIG.format(
        url=simulation.url,
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        secret_file=secret_file,
    )
