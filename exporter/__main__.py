"""`python -m exporter` is `webcast-exporter`."""

from exporter.cli import main

main()
