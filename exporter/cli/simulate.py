"""`simulate`: the simulated API alone."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import click

from exporter.cli.options import Decorator, command, did_you_mean, guide, listen_address
from exporter.config.credentials import MAX_SECRET_FILE
from exporter.config.documents import read_text
from exporter.config.fields import ALL_IPV4, one_line, parse_listen_address
from exporter.service.signals import Signals
from exporter.simulator.callback_sender import DEMO_DELIVERY, check_url
from exporter.simulator.faults import TLS_FAULTS, FaultMode
from exporter.simulator.fleet import Action
from exporter.simulator.replies import Explained, NotFoundForm, describe
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions, make_certificates

E = TypeVar("E", bound=Explained)

EPILOG = f"""\b
Faults, by --fault or, while it runs, by POST /fault?mode=MODE (GET /fault tells which one is in force). More of
its parameters: only=APP or only=APP/ROOM/TASK, seconds= until it ends; seconds also for latency=, retry_after=,
ahead= (of the clock).
{describe(FaultMode)}

\b
Answers about a task that does not exist, by --not-found:
{describe(NotFoundForm)}

\b
What POST /task/APP_ID/ROOM_ID/TASK_ID?do=ACTION, or a button on the page at /, does to a task:
{describe(Action)}
"""
END = guide(
    "simulate --listen 127.0.0.1:18080",
    exits={0: "a clean stop", 1: "the port cannot be had", 2: "bad usage"},
    more={
        "Calls that are throttled": "simulate --fault throttle",
        "With callbacks to an exporter": "simulate --callback.url http://127.0.0.1:10960/callback",
    },
)


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
        return one_line(read_text(value, MAX_SECRET_FILE).strip().partition("\n")[0])
    except ValueError as fault:
        raise click.BadParameter(f"the file {fault}") from fault


def _listed_option(flag: str, choices: type[E], what: str, default: str, *, metavar: str, help_text: str) -> Decorator:
    """An option whose choices are listed at the end of the help."""

    def read(_ctx: click.Context, _param: click.Parameter, value: str) -> E:
        for choice in choices:
            if choice == value:
                return choice
        raise click.BadParameter(f"{value!r} is no {what}, --help lists them{did_you_mean(value, choices)}")

    return click.option(flag, metavar=metavar, default=default, callback=read, help=help_text)


@command(short_help="Simulate the vendor's API alone.", epilog=f"{EPILOG}\n{END}")
@click.option(
    "--listen",
    "address",
    metavar="HOST:PORT",
    callback=listen_address,
    default="127.0.0.1:18080",
    show_default=True,
    help="Address to serve on; :PORT is every interface, port 0 a free one.",
)
@click.option("--tasks", type=click.IntRange(1, 100_000), default=40, show_default=True, help="Number of tasks.")
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
@click.option("--tls", is_flag=True, help="Answer over https, with a certificate made on the spot.")
@_listed_option("--fault", FaultMode, "fault", "none", metavar="MODE", help_text="Begin with this fault; see below.")
@_listed_option(
    "--not-found",
    NotFoundForm,
    "form of an answer",
    "error",
    metavar="FORM",
    help_text="How a missing task is told; see below.",
)
def simulate(
    *,
    address: str,
    tasks: int,
    speed: float,
    url: str,
    secret: str,
    tls: bool,
    fault: FaultMode,
    not_found: NotFoundForm,
) -> None:
    """Simulate the API: it checks signatures, keeps to 60 calls a second and 72 hours; its tasks run; faults.

    With --callback.url their starts, ends and page events are called back, some of them twice or out of order.
    """
    if fault in TLS_FAULTS and not tls:
        raise click.BadParameter(f"{fault} needs --tls", param_hint="--fault")
    signals = Signals()
    signals.listen()
    host, port = parse_listen_address(address)
    with ExitStack() as stack:
        certificates = None
        if tls:
            certificates = make_certificates(Path(stack.enter_context(TemporaryDirectory(prefix="simulator-"))))
        options = SimulationOptions(
            tasks=tasks,
            speed=speed,
            host=host or ALL_IPV4,
            port=port,
            callback_url=url,
            callback_secret=secret,
            not_found=not_found,
            delivery=DEMO_DELIVERY,
            certificates=certificates,
        )
        simulation = Simulation(options)
        simulation.faults.begin(fault)
        stack.enter_context(simulation)
        click.echo(described(simulation))
        signals.wait()


def described(simulation: Simulation) -> str:
    """Describe where the simulation is, and what it accepts and sends; a secret only if it is not the user's own."""
    credentials, certificates = simulation.credentials, simulation.options.certificates
    lines = [
        f"The simulated API answers on {simulation.url}",
        f"  access key   {credentials.access_key}",
        f"  secret key   {credentials.secret_key}",
        f"  task list    {simulation.url}/targets (the form of http_sd_configs)",
        f"  the truth    {simulation.url}/truth",
        f"  rehearsal    {simulation.url}/ (POST /task/APP/ROOM/TASK?do=fail breaks a task, do=start heals it)",
        f"  faults       {simulation.url}/fault (POST ?mode=MODE; now: {simulation.faults.mode})",
    ]
    if certificates is not None:
        lines.append(f"  its ca_file  {certificates.authority}")
    if sender := simulation.callback_sender:
        secret = sender.secret if sender.secret == CALLBACK_SECRET else "the one in the file"
        lines += [f"  callbacks to {sender.url}", f"  their secret {secret}"]
    return "\n".join(lines)
