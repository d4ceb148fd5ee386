"""What follows from a configuration for single parts."""

from collections.abc import Callable, Mapping

from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem
from exporter.metrics.catalog import TaskFamily
from exporter.metrics.catalog.task import task_families
from exporter.model.problem import ProblemThresholds
from exporter.model.target import TargetId
from exporter.model.task_state import Lifetimes, TaskState
from exporter.store.store import LabelsOf


def lifetimes(config: Config) -> Lifetimes:
    """How long things are kept and waited for."""
    return Lifetimes(
        stale_after=config.polling.stale_after,
        linger=config.lifecycle.linger,
        drain=config.lifecycle.drain,
        forget_unknown_after=config.lifecycle.forget_unknown_after,
        ttl=config.push.ttl,
    )


def problem_thresholds(config: Config) -> ProblemThresholds:
    """When something is wrong with a task."""
    return ProblemThresholds(
        **config.problems.model_dump(), stale_after=config.polling.stale_after, linger=config.lifecycle.linger
    )


def task_families_of(config: Config) -> tuple[TaskFamily, ...]:
    """The per-task families that are served."""
    return task_families(config.metrics.groups, config.metrics.info_labels, callbacks=_takes_callbacks(config))


def info_labels_of(config: Config, lookup: Callable[[TargetId], TaskState | None]) -> LabelsOf:
    """The labels of a target that may be shown, and are kept with its runs."""
    names = config.metrics.info_labels

    def labels_of(target: TargetId) -> Mapping[str, str]:
        known = lookup(target)
        own = known.target.labels if known else {}
        return {name: own[name] for name in names if name in own}

    return labels_of


def shown(config: Config) -> tuple[object, ...]:
    """All that decides which per-task series there are: equal when nothing need be drawn anew."""
    return config.metrics, _takes_callbacks(config)


def callback_address(config: Config) -> str | None:
    """Where callbacks have a listener of their own."""
    return config.callbacks.listen_address if _takes_callbacks(config) else None


def with_state_of(in_force: Config, config: Config) -> Config:
    """The configuration, if it keeps the state that is in use; ConfigError otherwise."""
    if config.state.url != in_force.state.url:
        raise ConfigError([Problem("state.url", "cannot change while it is in use; restart to change it")])
    if config.ha != in_force.ha:
        raise ConfigError([Problem("ha.enabled", "cannot change in a running process; restart to change it")])
    return config


def _takes_callbacks(config: Config) -> bool:
    return config.callbacks.secret_file is not None
