"""`simulate`: the vendor's side alone."""

import signal
from threading import Event

import click

from exporter.cli.options import Address
from exporter.simulator.simulation import Scene, Simulation
from exporter.web.listener import parse_address


@click.command()
@click.option("--listen", type=Address(), default="127.0.0.1:18080", show_default=True, help="Address to serve on.")
@click.option("--tasks", type=click.IntRange(1, 100_000), default=40, show_default=True, help="Tasks that live in it.")
@click.option("--speed", type=click.FloatRange(0.1, 600), default=1.0, show_default=True, help="Times class time.")
def simulate(listen: str, tasks: int, speed: float) -> None:
    """Simulate the API: signature checked, 60 calls a second kept, 72 hours back; tasks that live.

    \b
    Example: webcast-exporter simulate --listen 127.0.0.1:18080
    """  # noqa: D301 - \b keeps click from folding the example
    host, port = parse_address(listen)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: stop.set())
    with Simulation(Scene(tasks=tasks, speed=speed, host=host or "0.0.0.0", port=port)) as simulation:  # noqa: S104 - what `:PORT` means
        click.echo(described(simulation))
        stop.wait()


def described(simulation: Simulation) -> str:
    """Where it is, and what it accepts."""
    credentials = simulation.credentials
    return "\n".join(
        (
            f"The simulated API answers on {simulation.url}",
            f"  access key   {credentials.access_key}",
            f"  secret key   {credentials.secret_key}",
            f"  task list    {simulation.url}/targets (the form of http_sd_configs)",
            f"  the truth    {simulation.url}/truth",
        )
    )
