"""Task: who it is, and the video it was asked for."""

from dashboards.source.fields import Column, instead
from dashboards.source.frame import Row
from dashboards.source.panels import Query, Size, table
from dashboards.source.queries import ONE_TASK, TASK, of_task

_VIDEO = "webcast_task_video_"
OF_THE_SCRAPE = ["__name__", "job", "instance", "namespace", "pod", "container", "endpoint", "service"]
"""Labels that tell where the series come from, not what the task is."""

ROW = Row(
    "Who it is, and what was asked for",
    [
        table(
            "Account, user, host of the page, and labels",
            Size(12, 5),
            Query(TASK("webcast_task_info")),
            columns=[
                Column("account", "Account", {"custom.width": 110}),
                Column("user_id", "User", {"custom.width": 120, "noValue": "not read yet"}),
                Column("source_host", "Host of the page", {"noValue": "not read yet"}),
            ],
            none="No such task is known",
            hidden=["Value", *ONE_TASK.split(", "), *OF_THE_SCRAPE],
        ),
        table(
            "Video, by stream",
            Size(12, 5),
            *(
                Query(expression)
                for expression in (
                    of_task(TASK, f"{_VIDEO}width_pixels", "stream"),
                    of_task(TASK, f"{_VIDEO}height_pixels", "stream"),
                    of_task(TASK, f"{_VIDEO}frames_per_second", "stream"),
                    f"8 * {of_task(TASK, f'{_VIDEO}max_bytes_per_second', 'stream')}",
                )
            ),
            columns=[
                Column("stream", "Stream", {"custom.width": 90}),
                Column("A", "Width", {"unit": "pixel"}),
                Column("B", "Height", {"unit": "pixel"}),
                Column("C", "Frames a second", {"unit": "none"}),
                Column("D", "Bit rate, at most", {"unit": "bps", "mappings": instead("adaptive", "blue")}),
            ],
            none="Not shown: not read, or without metrics.groups: [video]",
            sort="Stream",
            rising=True,
            hidden=ONE_TASK.split(", "),
        ),
    ],
)
