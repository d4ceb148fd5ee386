"""The settings of StartWebcast, in the seed page's ranges."""

from typing import Any

import pytest

from exporter.simulator.settings import Settings, Video, compressed, read_settings

NEEDED = {"UserId": "webcast_1", "SourceURL": "https://classroom.example.com/live"}


def test_what_is_left_out_has_the_seed_pages_default() -> None:
    """Defaults of the seed page: 1280x720 at 15, adaptive, one day, all checks off."""
    expected = Settings(
        "webcast_1",
        NEEDED["SourceURL"],
        (Video(1280, 720, 15, 0),),
        86_400,
        0,
        0,
        0,
        event_notify=False,
        start_timeout=0,
    )
    assert expected == read_settings(NEEDED)


def test_all_that_is_said_is_kept() -> None:
    """Every field arrives; an odd size becomes even, as the seed page says."""
    body = {
        **NEEDED,
        "VideoSolutions": [{"Width": 1919, "Height": 1079, "FrameRate": 60, "Bitrate": 10_000}, {}],
        "MaxRunningTime": 10,
        "MonitorConfig": {"FreezeCheckInterval": 2, "BlankCheckInterval": 30, "CrashCheckInterval": 1},
        "EventNotifyConfig": {"EnableEventNotify": True, "StartTimeout": 60},
    }
    expected = Settings(
        user_id="webcast_1",
        source_url=NEEDED["SourceURL"],
        video=(Video(1920, 1080, 60, 10_000), Video()),
        max_running_time=10,
        freeze_check=2,
        blank_check=30,
        crash_check=1,
        event_notify=True,
        start_timeout=60,
    )
    assert expected == read_settings(body)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("UserId", {"UserId": "a b"}),
        ("UserId", {"UserId": None}),
        ("SourceURL", {"SourceURL": "x" * 1025}),
        ("SourceURL", {"SourceURL": ""}),
        ("MaxRunningTime", {"MaxRunningTime": 9}),
        ("MaxRunningTime", {"MaxRunningTime": 86_401}),
        ("MaxRunningTime", {"MaxRunningTime": True}),
        ("MaxRunningTime", {"MaxRunningTime": "60"}),
        ("Width", {"VideoSolutions": [{"Width": 49}]}),
        ("Height", {"VideoSolutions": [{"Height": 1081}]}),
        ("FrameRate", {"VideoSolutions": [{"FrameRate": 0}]}),
        ("Bitrate", {"VideoSolutions": [{"Bitrate": 10_001}]}),
        ("VideoSolutions", {"VideoSolutions": [{}, {}, {}]}),
        ("VideoSolutions", {"VideoSolutions": [1]}),
        ("FreezeCheckInterval", {"MonitorConfig": {"FreezeCheckInterval": 1}}),
        ("BlankCheckInterval", {"MonitorConfig": {"BlankCheckInterval": 31}}),
        ("CrashCheckInterval", {"MonitorConfig": {"CrashCheckInterval": -1}}),
        ("MonitorConfig", {"MonitorConfig": [1]}),
        ("EnableEventNotify", {"EventNotifyConfig": {"EnableEventNotify": 1}}),
        ("StartTimeout", {"EventNotifyConfig": {"StartTimeout": 61}}),
    ],
)
def test_what_is_out_of_range_is_named(name: str, change: dict[str, Any]) -> None:
    """A value outside the seed page's range is refused, by the name of its field."""
    with pytest.raises(ValueError, match=f"^{name}$"):
        read_settings({**NEEDED, **change})


@pytest.mark.parametrize(
    ("limit", "speed", "expected"), [(3600, 60, 60), (3601, 60, 61), (60, 60, 10), (86_400, 0.5, 86_400)]
)
def test_compression_rounds_up_and_stays_in_range(limit: int, speed: float, expected: int) -> None:
    """A compressed limit is never shorter than the life it bounds, and within [10, 86400]."""
    assert expected == compressed(Settings(max_running_time=limit), speed).max_running_time


def test_the_source_url_is_in_no_repr() -> None:
    """SourceURL may carry authentication: no repr shows it."""
    assert "canary" not in repr(Settings(source_url="https://a.example/?token=canary"))
