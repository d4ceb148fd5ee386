"""The targets of `static_configs`."""

from exporter.config.schema import Config
from exporter.discovery.groups import Listing, TargetGroup, read_groups
from exporter.enums import Source

PLACE = "static_configs"


def static_listing(config: Config) -> Listing:
    """All of them as one list: a target that stands in two groups is a duplicate."""
    groups = (TargetGroup([str(target) for target in group.targets], group.labels) for group in config.static_configs)
    return read_groups(Source.STATIC, groups, PLACE)
