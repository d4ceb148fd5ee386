"""`push`: the list of targets that backends write themselves, over HTTP."""

from exporter.config.durations import PositiveDuration
from exporter.config.fields import FilePath, Section


class Push(Section):
    """`push`: off without `token_file`; `ttl`, in seconds, is how long a target stays that no push names again."""

    token_file: FilePath | None = None
    ttl: PositiveDuration = 93_600.0
