from pathlib import Path

from exporter.config.loader import parse_config
from exporter.discovery.sd_format import TargetEntry, static_listing
from exporter.enums import Rejection, Source
from exporter.model.target import TargetId


def test_all_groups_are_one_list() -> None:
    """Targets of all groups are listed; one that stands in two of them is a duplicate, with its place."""
    config = parse_config(
        """
        static_configs:
          - targets: [app/room/t1]
            labels: {team: edu, __expected_start__: 2026-01-15T08:30:00Z, __expected_end__: 1768469400}
          - targets: [app/room/t2, app/room/t1]
        """,
        Path(),
    )
    listing = static_listing(config)
    assert listing.source == Source.STATIC
    assert {
        TargetId("app", "room", "t1"): TargetEntry({"team": "edu"}, 1_768_465_800.0, 1_768_469_400.0),
        TargetId("app", "room", "t2"): TargetEntry({}),
    } == listing.targets
    assert [(rejected.reason, rejected.problem.path) for rejected in listing.rejected] == [
        (Rejection.DUPLICATE, "static_configs[1].targets[1]")
    ]


def test_no_static_configs() -> None:
    """A file without any lists nothing."""
    assert static_listing(parse_config("{}", Path())).targets == {}
