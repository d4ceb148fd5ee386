"""A registry whose targets are all replaced at once."""

from collections.abc import Mapping

from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.scheduler.registry import TaskRegistry


def replace_targets(registry: TaskRegistry, targets: Mapping[TargetId, Target], runs: Mapping[TargetId, Run]) -> None:
    """Track these targets and release all others; `runs` are the latest runs in the store."""
    gone = [state.target.id for state in registry.all() if state.target.id not in targets]
    registry.change_targets(targets, gone, runs)
