"""The lists that are kept in the state: what was pushed, and what the vendor has called back about."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from exporter.config.credentials import CALLBACK_SECRETS, PUSH_TOKENS, TokenFile, token_files
from exporter.config.schema import Config
from exporter.discovery.kept import Change, KeptList
from exporter.discovery.sd_format import Listing
from exporter.enums import Source
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task_state import Named
from exporter.store.store import Store
from exporter.store.stored_targets import StoredTargets

KEY_OF_SOURCE = {Source.PUSH: PUSH_TOKENS, Source.CALLBACK: CALLBACK_SECRETS}

Secrets = Mapping[Source, TokenFile]
"""Whose word is taken, by the source that is on."""

CarryOut = Callable[[Callable[[Config], Sequence[Change]]], bool]
"""Has changes made, committed and put in force while nothing else changes the lists; False when there are none to make.

StartError or StateError when the state cannot be used; then nothing has changed.
"""


def secrets_of(config: Config, clock: Clock) -> Secrets:
    """The secrets that a configuration asks for; ConfigError when a file of them cannot be used."""
    files = token_files(config)
    return {
        source: TokenFile(key, files[key], clock.monotonic) for source, key in KEY_OF_SOURCE.items() if key in files
    }


class Kept:
    """The lists, and the secrets in force. One that is switched off stays in the state, and is no source.

    StartError when the state cannot be read.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._lists = {source: KeptList(StoredTargets(store, source), source) for source in KEY_OF_SOURCE}
        self.secrets: Secrets = {}

    def plan(self, config: Config) -> Secrets:
        """The secrets that a configuration asks for; ConfigError when a file of them cannot be used."""
        return secrets_of(config, self._clock)

    def __getitem__(self, source: Source) -> KeptList:
        """One source's list, whether it counts or not."""
        return self._lists[source]

    def listings(self) -> list[Listing]:
        """The lists that count."""
        return [self._lists[source].listing for source in self.secrets]

    def named(self, target: TargetId) -> Named:
        """When a push and a callback last named a target."""
        by_push, by_callback = (
            each.named_at(target) if source in self.secrets else None for source, each in self._lists.items()
        )
        return Named(by_push, by_callback)

    def without(self, targets: Iterable[TargetId]) -> list[Change]:
        """What ends these targets' listing, by whatever source that is on."""
        gone = frozenset(targets)
        lists = [self._lists[source] for source in self.secrets]
        listed = [(each, [target for target in gone if each.named_at(target) is not None]) for each in lists]
        return [each.removed(found) for each, found in listed if found]

    def forgotten(self, tracked: Callable[[TargetId], object], before: float) -> list[TargetId]:
        """Those that no account reads any more, and that nobody has named since `before` (Unix seconds)."""
        lists = [self._lists[source] for source in self.secrets]
        return [
            target
            for each in lists
            for target in each
            if (each.named_at(target) or 0.0) < before and tracked(target) is None
        ]
