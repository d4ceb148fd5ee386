"""PromQL: selectors with the dashboards' variables in them, and what several panels ask for."""

from typing import NamedTuple

from exporter.enums import Status

ONE_TASK = "app_id, room_id, task_id"


class Scope(NamedTuple):
    """What narrows every selector of a kind of metric, beside job and instance."""

    matchers: tuple[str, ...] = ()

    def __call__(self, name: str, **values: str) -> str:
        """The selector of a metric; a value that holds `|` is a choice, one that begins with `!` an exclusion."""
        chosen = (f'{label}{_operator(value)}"{value.removeprefix("!")}"' for label, value in values.items())
        return (
            f'{name}{{job=~"$job", instance=~"$instance"{"".join(f", {part}" for part in (*self.matchers, *chosen))}}}'
        )


EXPORTER = Scope()
APP = Scope(('app_id=~"$app_id"',))
ACCOUNT = Scope(('account=~"$account"',))
TASK = Scope(('app_id=~"$app_id"', 'room_id="$room_id"', 'task_id="$task_id"'))


def _operator(value: str) -> str:
    return "!=" if value.startswith("!") else "=~" if "|" in value else "="


def total(selector: str, *by: str) -> str:
    """The sum over all exporters."""
    return f"sum{_by(by)}({selector})"


def rate(selector: str, *by: str) -> str:
    """How fast counters grow, per second."""
    return f"sum{_by(by)}(rate({selector}[$__rate_interval]))"


def per_minute(selector: str, *by: str) -> str:
    """How fast they grow, per minute."""
    return f"60 * {rate(selector, *by)}"


def grown(selector: str, *by: str) -> str:
    """By how much counters grew within the dashboard's time range."""
    return f"sum{_by(by)}(increase({selector}[$__range]))"


def quantile(share: float, selector: str, window: str = "rate") -> str:
    """A quantile of a histogram's `_bucket`; `window` says rate over time, or increase over the whole range."""
    over = {"rate": "$__rate_interval", "increase": "$__range"}[window]
    return f"histogram_quantile({share}, sum by (le) ({window}({selector}[{over}]))) >= 0"


def of_task(scope: Scope, name: str, *labels: str, **values: str) -> str:
    """A value of each task, whichever exporter tells it: a change of pods is no change of the task."""
    return f"max by ({', '.join((ONE_TASK, *labels))}) ({scope(name, **values)})"


def in_status(scope: Scope, status: Status) -> str:
    """The tasks in a status, each with the value 1."""
    return f"({of_task(scope, 'webcast_task_status', status=status)} == 1)"


def left(scope: Scope) -> str:
    """Seconds until the vendor stops each task that has started; negative when the limit is past."""
    start, limit = (of_task(scope, f"webcast_task_{name}_seconds") for name in ("start_timestamp", "max_running_time"))
    return f"{start} + {limit} - time()"


def beside(value: str, chosen: str) -> str:
    """A further column of a table: the value, for the rows that `chosen` has."""
    return f"{value}\nand on ({ONE_TASK}) {chosen}"


def zero_of(expression: str, whole: str) -> str:
    """A count that is 0 when there is nothing to count, and nothing at all when `whole` is not there either."""
    return f"{expression}\nor 0 * {whole}"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
