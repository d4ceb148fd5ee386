"""Lifecycle of a simulated task: its settings, its runs, what GetWebCastTask and the callbacks say of them.

Times on the real clock are Unix milliseconds, as in the vendor's replies. Sources are the API page and, for callbacks,
docs 6348/75124 and 6348/69820.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any, NamedTuple

from exporter.enums import STATUS_OF_CODE, PageReason, Status, StopReason
from exporter.model.target import TargetId

LOOK_BACK = 72 * 3600
"""Seconds after its start for which a task can be queried."""

STARTED, REFRESHED, RESCHEDULED = 1, 4, 5
"""Status of a callback; its scale is not that of GetWebCastTask."""
ENDED = {Status.ENDED: 3, Status.FAILED: 2}
"""Status of the callback at a run's end. A guess: the vendor documents the callback, not its Status."""
EVENT_TYPE = "Webcast"
"""A guess: no page of the vendor states the literal."""
CALLBACK_VERSION = "2020-12-01"

VIDEO = {"Width": 1280, "Height": 720, "FrameRate": 15, "Bitrate": 0}
"""The keys of an element of VideoSolutions, with their defaults: pixels, frames a second, kbit/s (0 = adaptive)."""
MIN_RUNNING_TIME, MAX_RUNNING_TIME = 10, 86_400
CHECKS = {
    PageReason.FREEZE: ("freeze_check", ((REFRESHED, 2), (RESCHEDULED, 4))),
    PageReason.BLANK: ("blank_check", ((REFRESHED, 2), (RESCHEDULED, 4))),
    PageReason.CRASH: ("crash_check", ((RESCHEDULED, 1),)),
    PageReason.START_TIMEOUT: ("start_timeout", ((REFRESHED, 1), (RESCHEDULED, 2))),
}
"""The setting that holds a check's interval, and after how many failed checks which callback follows."""


class VideoSolution(NamedTuple):
    """One output stream; the vendor's units."""

    width: int = VIDEO["Width"]
    height: int = VIDEO["Height"]
    frame_rate: int = VIDEO["FrameRate"]
    bitrate: int = VIDEO["Bitrate"]


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """The parameters of StartWebcast except the ids; times in seconds, 0 = off."""

    user_id: str = "webcast_1"
    source_url: str = field(default="https://classroom.example.com/live", repr=False)
    video: tuple[VideoSolution, ...] = (VideoSolution(),)
    max_running_time: int = MAX_RUNNING_TIME
    freeze_check: int = 0
    blank_check: int = 0
    crash_check: int = 0
    event_notify: bool = False
    start_timeout: int = 0

    def document(self) -> dict[str, Any]:
        """The settings as GetWebCastTask returns them, in the order of the API page's sample."""
        return {
            "UserId": self.user_id,
            "SourceURL": self.source_url,
            "VideoSolutions": [dict(zip(VIDEO, video, strict=True)) for video in self.video],
            "MonitorConfig": {
                "BlankCheckInterval": self.blank_check,
                "CrashCheckInterval": self.crash_check,
                "FreezeCheckInterval": self.freeze_check,
            },
            "EventNotifyConfig": {"EnableEventNotify": self.event_notify, "StartTimeout": self.start_timeout},
            "MaxRunningTime": self.max_running_time,
        }


def compressed(settings: TaskSettings, speed: float) -> TaskSettings:
    """The settings with MaxRunningTime `speed` times shorter, rounded up and kept within its range."""
    return replace(settings, max_running_time=running_time(math.ceil(settings.max_running_time / speed)))


def running_time(seconds: int) -> int:
    """The nearest MaxRunningTime that the vendor allows."""
    return min(max(seconds, MIN_RUNNING_TIME), MAX_RUNNING_TIME)


def read_settings(body: Mapping[str, Any]) -> TaskSettings:
    """Read a StartWebcast body; the vendor's ranges are not checked. ValueError when it has not the right shape."""
    try:
        monitor, notify = body.get("MonitorConfig") or {}, body.get("EventNotifyConfig") or {}
        videos = body.get("VideoSolutions") or [{}]
        return TaskSettings(
            user_id=_text(body["UserId"]),
            source_url=_text(body["SourceURL"]),
            video=tuple(VideoSolution(*(int(video.get(key) or VIDEO[key]) for key in VIDEO)) for video in videos),
            max_running_time=int(body.get("MaxRunningTime") or MAX_RUNNING_TIME),
            freeze_check=int(monitor.get("FreezeCheckInterval") or 0),
            blank_check=int(monitor.get("BlankCheckInterval") or 0),
            crash_check=int(monitor.get("CrashCheckInterval") or 0),
            event_notify=bool(notify.get("EnableEventNotify")),
            start_timeout=int(notify.get("StartTimeout") or 0),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("a parameter is missing or malformed") from error


class Ending(Enum):
    """How a run ends: the Status and StopReason that the vendor returns from then on."""

    STOPPED_BY_API = (Status.ENDED, StopReason.STOP_BY_API.value)
    BY_THE_PAGE = (Status.ENDED, "")  # no StopReason is documented for it
    TIMED_OUT = (Status.ENDED, StopReason.EXCEED_MAX_RUNNING_TIME.value)
    START_FAILED = (Status.FAILED, StopReason.START_TASK_FAILED.value)
    BROKE = (Status.FAILED, StopReason.UNKNOWN.value)

    @property
    def status(self) -> Status:
        """The status after it."""
        return self.value[0]

    @property
    def reason(self) -> str:
        """The vendor's StopReason after it, empty for none."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class PageTrouble:
    """The page goes wrong `after` seconds of its run; `lasting`: the first remedy does not help."""

    reason: PageReason
    after: float
    lasting: bool = False


class PageRemedy(NamedTuple):
    """What the vendor did about a page: when, and the callback's Status and Reason. GetWebCastTask does not show it."""

    at: int
    status: int
    reason: PageReason


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is going to happen, in seconds of class time after the run's creation.

    `starts` None: it never starts. `ends` None: it runs for its MaxRunningTime. In an `unknown` span Status is 0.
    """

    settings: TaskSettings = field(default_factory=TaskSettings)
    starts: float | None = 0.0
    ends: float | None = None
    ending: Ending = Ending.BY_THE_PAGE
    unknown: tuple[tuple[float, float], ...] = ()
    troubles: tuple[PageTrouble, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """A plan on the real clock; None = never."""

    settings: TaskSettings
    created: int
    start: int | None
    end: int | None
    ending: Ending
    unknown: tuple[tuple[int, int], ...] = ()
    remedies: tuple[PageRemedy, ...] = ()


class RunState(NamedTuple):
    """What is true of a run at one time; `start` and `end` are 0 until they are known."""

    status: Status
    reason: str
    start: int
    end: int


def begin_run(plan: RunPlan, at: float, speed: float = 1.0) -> SimulatedRun:
    """Put a plan on the real clock, from `at` (Unix seconds) on and `speed` times faster than class time."""

    def real(offset: float) -> int:
        return round((at + offset / speed) * 1000)

    settings = compressed(plan.settings, speed)
    start = None if plan.starts is None else real(plan.starts)
    end = None if plan.ends is None or plan.ending is Ending.TIMED_OUT else real(plan.ends)
    deadline = None if start is None else start + settings.max_running_time * 1000
    run = SimulatedRun(
        settings=settings,
        created=real(0),
        start=start,
        end=None,
        ending=Ending.TIMED_OUT,
        unknown=tuple((real(since), real(until)) for since, until in plan.unknown),
        remedies=tuple(
            remedy for trouble in plan.troubles for remedy in remedies(trouble, real(trouble.after), settings)
        ),
    )
    if end is not None and (deadline is None or end <= deadline):
        return end_run(run, end, plan.ending)
    return run if deadline is None else end_run(run, deadline, Ending.TIMED_OUT)


def end_run(run: SimulatedRun, at: int, ending: Ending) -> SimulatedRun:
    """The same run, over at `at`: what would have come later never happens."""
    return replace(
        run,
        start=run.start if run.start is not None and run.start <= at else None,
        end=at,
        ending=ending,
        remedies=tuple(remedy for remedy in run.remedies if remedy.at <= at),
    )


def remedies(trouble: PageTrouble, onset: int, settings: TaskSettings) -> tuple[PageRemedy, ...]:
    """What the vendor does about a trouble that begins at `onset`; nothing when its check is off."""
    setting, steps = CHECKS[trouble.reason]
    interval: int = getattr(settings, setting)
    due = steps[: None if trouble.lasting else 1] if interval else ()
    return tuple(PageRemedy(onset + 1000 * interval * checks, status, trouble.reason) for status, checks in due)


def run_state(run: SimulatedRun, at: int) -> RunState:
    """The state of a run at `at` (Unix milliseconds)."""
    started = run.start is not None and run.start <= at
    over = run.end is not None and run.end <= at
    if over:
        status = run.ending.status
    elif any(since <= at < until for since, until in run.unknown):
        status = Status.UNKNOWN
    else:
        status = Status.RUNNING if started else Status.NOT_STARTED
    reason = run.ending.reason if over else ""
    return RunState(status, reason, (run.start or 0) if started else 0, (run.end or 0) if over else 0)


def queryable(run: SimulatedRun, at: int) -> bool:
    """Whether GetWebCastTask still finds it: it started, or was asked to, within the last 72 hours."""
    since = run.created if run.start is None or run.start > at else run.start
    return at - since <= LOOK_BACK * 1000


def task_document(run: SimulatedRun, at: int) -> dict[str, Any]:
    """The task that GetWebCastTask returns at `at`."""
    state = run_state(run, at)
    times = {"StartTime": state.start, "EndTime": state.end}
    status = {"Status": STATUS_OF_CODE.index(state.status), "StopReason": state.reason}
    return {**times, **status, **run.settings.document()}


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """One event as the vendor calls it back; `status` is on the callback's own scale, `reason` "" = none."""

    target: TargetId
    at: int
    status: int
    reason: str
    event_id: str


def callback_events(target: TargetId, run: SimulatedRun) -> tuple[CallbackEvent, ...]:
    """All events of one run by time; those before any time are the same when the run is changed at that time."""
    told = [] if run.start is None else [(run.start, STARTED, "")]
    told += [(remedy.at, remedy.status, _reason(remedy)) for remedy in run.remedies]
    told += [] if run.end is None else [(run.end, ENDED[run.ending.status], "")]
    events = []
    for number, event in enumerate(sorted(told, key=lambda event: event[0])):
        digest = sha256(repr((*target, run.created, number, *event)).encode()).hexdigest()
        events.append(CallbackEvent(target, *event, event_id=digest[:32]))
    return tuple(events)


def callback_payload(event: CallbackEvent, secret: str, nonce: str, *, event_type: str = EVENT_TYPE) -> bytes:
    """The signed JSON body of a callback; `nonce` is four digits. EventData's keys are a guess after sibling events."""
    app_id, room_id, task_id = event.target
    data = {"AppId": app_id, "BusinessId": "", "RoomId": room_id, "TaskId": task_id, "Status": event.status}
    values = {
        "EventType": event_type,
        "EventData": _compact({**data, "Reason": event.reason} if event.reason else data),
        "EventTime": event_time(event.at),
        "EventId": event.event_id,
        "AppId": app_id,
        "Version": CALLBACK_VERSION,
        "Nonce": nonce,
    }
    signature = sha256("".join(sorted([*values.values(), secret])).encode()).hexdigest()
    return _compact({**values, "Signature": signature}).encode()


def event_time(at: int) -> str:
    """RFC 3339 in UTC; a whole second has no fraction."""
    seconds, rest = divmod(at, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{f'.{rest:03d}' if rest else ''}Z"


def _reason(remedy: PageRemedy) -> str:
    """The vendor's word; the API page writes one of them with a leading space, which a receiver must strip."""
    spaced = remedy.reason is PageReason.START_TIMEOUT and remedy.status == REFRESHED
    return f" {remedy.reason.value}" if spaced else remedy.reason.value


_compact: Callable[[Mapping[str, object]], str] = json.JSONEncoder(separators=(",", ":")).encode


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value
