"""What follows from one configuration: made once at each load, and swapped whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem
from exporter.metrics.families import TaskFamily, task_families
from exporter.model.problem import ProblemThresholds
from exporter.model.target import Target
from exporter.model.task_state import Lifetimes
from exporter.scheduler.read_queue import PollIntervals


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration, and what the components need of it in their own terms.

    `callback_address` is where callbacks have a listener of their own, None for none.
    """

    config: Config
    lifetimes: Lifetimes
    thresholds: ProblemThresholds
    families: tuple[TaskFamily, ...]
    callback_address: str | None

    @classmethod
    def of(cls, config: Config) -> Self:
        """Derive everything from a configuration."""
        takes_callbacks = config.callbacks.secret_file is not None
        return cls(
            config=config,
            lifetimes=Lifetimes(
                stale_after=config.polling.stale_after,
                linger=config.lifecycle.linger,
                drain=config.lifecycle.drain,
                forget_unknown_after=config.lifecycle.forget_unknown_after,
                ttl=config.push.ttl,
            ),
            thresholds=ProblemThresholds(
                **config.problems.model_dump(),
                stale_after=config.polling.stale_after,
                linger=config.lifecycle.linger,
            ),
            families=task_families(config.metrics.groups, config.metrics.info_labels, callbacks=takes_callbacks),
            callback_address=config.callbacks.listen_address if takes_callbacks else None,
        )


def info_labels(target: Target, config: Config) -> Mapping[str, str]:
    """The labels of a target that are served in `webcast_task_info`, and stored with its runs."""
    return {name: target.labels[name] for name in config.metrics.info_labels if name in target.labels}


def intervals(config: Config) -> PollIntervals:
    """The section `polling`, and `lifecycle.forget_unknown_after`."""
    polling = config.polling
    return PollIntervals(
        interval=polling.interval,
        fast_interval=polling.fast_interval,
        max_backoff=polling.max_backoff,
        reread_stopped=polling.reread_stopped,
        forget_unknown_after=config.lifecycle.forget_unknown_after,
    )


def with_same_state(in_force: Config, config: Config) -> Config:
    """Return `config` if it keeps the state in use; ConfigError otherwise."""
    if config.state.url != in_force.state.url:
        raise ConfigError([Problem("state.url", "cannot change while it is in use; restart to change it")])
    if config.ha != in_force.ha:
        raise ConfigError([Problem("ha.enabled", "cannot change in a running process; restart to change it")])
    return config
