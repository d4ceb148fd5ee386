"""`metrics`: the metric reference."""

import click

from exporter.exposition.reference import reference


@click.command()
def metrics() -> None:
    """Print the metric reference as Markdown.

    \b
    Example: webcast-exporter metrics > docs/metrics.md
    """  # noqa: D301 - \b keeps click from folding the example
    click.echo(reference(), nl=False)
