"""`simulate`: the vendor's side alone."""

import click

from exporter.app.signals import Signals
from exporter.cli.options import address, example
from exporter.simulator.simulation import Scene, Simulation
from exporter.web.listener import parse_address


@click.command(epilog=example("simulate --listen 127.0.0.1:18080"))
@address("--listen", "127.0.0.1:18080")
@click.option("--tasks", type=click.IntRange(1, 100_000), default=40, show_default=True, help="Tasks that live in it.")
@click.option("--speed", type=click.FloatRange(0.1, 600), default=1.0, show_default=True, help="Times class time.")
def simulate(address: str, tasks: int, speed: float) -> None:
    """Simulate the API: signature checked, 60 calls a second kept, 72 hours back; tasks that live."""
    signals = Signals()
    signals.listen()
    host, port = parse_address(address)
    with Simulation(Scene(tasks=tasks, speed=speed, host=host or "0.0.0.0", port=port)) as simulation:  # noqa: S104 - what `:PORT` means
        click.echo(described(simulation))
        signals.wait()


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
