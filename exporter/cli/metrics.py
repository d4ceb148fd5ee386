"""`metrics`: the metric reference."""

import click

from exporter.cli.options import example
from exporter.metrics.reference import reference


@click.command(epilog=example("metrics > docs/metrics.md"))
def metrics() -> None:
    """Print the metric reference as Markdown."""
    click.echo(reference(), nl=False)
