"""`simulate`: the vendor's side alone."""

from pathlib import Path

import click

from exporter.app.signals import Signals
from exporter.cli.options import address, example
from exporter.config.files import read_text
from exporter.config.listening import parse_address
from exporter.config.texts import one_line
from exporter.simulator.line import check_url
from exporter.simulator.manner import DEMO
from exporter.simulator.simulation import CALLBACK_SECRET, Scene, Simulation

LARGEST_FILE = 64 * 1024


def _url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        if value:
            check_url(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


def _secret(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> str:
    """The first of the secrets in the file: it may be the exporter's own, which has one a line."""
    if value is None:
        return CALLBACK_SECRET
    try:
        return one_line(read_text(value, LARGEST_FILE).strip().partition("\n")[0])
    except ValueError as fault:
        raise click.BadParameter(f"the file {fault}") from fault


@click.command(epilog=example("simulate --listen 127.0.0.1:18080"))
@address("--listen", "127.0.0.1:18080")
@click.option("--tasks", type=click.IntRange(1, 100_000), default=40, show_default=True, help="Tasks that live in it.")
@click.option("--speed", type=click.FloatRange(0.1, 600), default=1.0, show_default=True, help="Times class time.")
@click.option(
    "--callback.url", "url", metavar="URL", default="", callback=_url, help="Call this back with the tasks' events."
)
@click.option(
    "--callback.secret-file",
    "secret",
    type=click.Path(path_type=Path),
    callback=_secret,
    help="File whose first line signs these events; without it a made-up secret does.",
)
def simulate(address: str, tasks: int, speed: float, url: str, secret: str) -> None:
    """Simulate the API: signature checked, 60 calls a second kept, 72 hours back; tasks that live.

    With --callback.url their starts, ends and page events are called back, some of them twice or out of order.
    """
    signals = Signals()
    signals.listen()
    host, port = parse_address(address)
    scene = Scene(
        tasks=tasks,
        speed=speed,
        host=host or "0.0.0.0",  # noqa: S104 - what `:PORT` means
        port=port,
        callback_url=url,
        callback_secret=secret,
        callback_manner=DEMO,
    )
    with Simulation(scene) as simulation:
        click.echo(described(simulation))
        signals.wait()


def described(simulation: Simulation) -> str:
    """Where it is, and what it accepts and sends."""
    credentials = simulation.credentials
    return "\n".join(
        (
            f"The simulated API answers on {simulation.url}",
            f"  access key   {credentials.access_key}",
            f"  secret key   {credentials.secret_key}",
            f"  task list    {simulation.url}/targets (the form of http_sd_configs)",
            f"  the truth    {simulation.url}/truth",
            *_callbacks(simulation),
        )
    )


def _callbacks(simulation: Simulation) -> tuple[str, ...]:
    """Where they go, and the secret unless it is the user's own."""
    caller = simulation.caller
    if caller is None:
        return ()
    secret = caller.secret if caller.secret == CALLBACK_SECRET else "the one in the file"
    return (f"  callbacks to {caller.url}", f"  their secret {secret}")
