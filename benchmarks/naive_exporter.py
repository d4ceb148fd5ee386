"""An exporter as people write it: requests, prometheus_client's gauges, an APScheduler job per task.

`python -m benchmarks.naive_exporter URL TASKS PORT`; it is what benchmarks/naive.py measures ours against.
"""

import random
import sys
import warnings

import requests
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from prometheus_client import Counter, Gauge, start_http_server
from volcenginesdkcore.signv4 import SignerV4

from benchmarks.fleet import account, target
from exporter.model.target import TargetId

INTERVAL = 30
STATUSES = ("unknown", "not_started", "running", "ended", "failed")
T = ("app_id", "room_id", "task_id")
READS = Counter("webcast_reads", "Calls")
UP = Gauge("webcast_up", "Last read succeeded", T)
STATUS = Gauge("webcast_status", "Status", (*T, "status"))
INFO = Gauge("webcast_info", "Always 1", (*T, "user_id", "stop_reason"))
START = Gauge("webcast_start_timestamp_seconds", "StartTime", T)
END = Gauge("webcast_end_timestamp_seconds", "EndTime", T)
LIMIT = Gauge("webcast_max_running_time_seconds", "MaxRunningTime", T)
CHECK = Gauge("webcast_monitor_interval_seconds", "Interval of a check", (*T, "check"))
NOTIFY = Gauge("webcast_event_notify", "EventNotifyConfig", (*T, "setting"))
VIDEO = Gauge("webcast_video", "Setting of a stream", (*T, "stream", "setting"))


def read(session: requests.Session, url: str, keys: tuple[str, str], task: TargetId) -> None:
    """One signed call, and a gauge for each field."""
    query = {"Action": "GetWebCastTask", "Version": "2020-12-01"}
    query |= {"AppId": task.app_id, "RoomId": task.room_id, "TaskId": task.task_id}
    headers = {"Host": url.partition("://")[2]}
    READS.inc()
    SignerV4.sign("/", "GET", headers, "", None, query, *keys, "cn-north-1", "rtc")
    try:
        reply = session.get(url, params=query, headers=headers, timeout=5)
        reply.raise_for_status()
        found = reply.json()["Result"]["WebcastTask"]
    except (requests.RequestException, ValueError, KeyError):
        UP.labels(*task).set(0)
        return
    UP.labels(*task).set(1)
    for number, status in enumerate(STATUSES):
        STATUS.labels(*task, status).set(found["Status"] == number)
    INFO.labels(*task, found["UserId"], found.get("StopReason", "")).set(1)
    START.labels(*task).set(found["StartTime"] / 1000)
    END.labels(*task).set(found["EndTime"] / 1000)
    LIMIT.labels(*task).set(found["MaxRunningTime"])
    for check, interval in found["MonitorConfig"].items():
        CHECK.labels(*task, check).set(interval)
    for setting, value in found["EventNotifyConfig"].items():
        NOTIFY.labels(*task, setting).set(value)
    for number, stream in enumerate(found["VideoSolutions"]):
        for setting in ("Width", "Height", "FrameRate", "Bitrate"):
            VIDEO.labels(*task, str(number), setting).set(stream.get(setting, 0))


def main(url: str, tasks: int, port: int) -> None:
    """Read every task each 30 s, spread over them."""
    warnings.simplefilter("ignore", DeprecationWarning)
    keys = account()["access_key_id"], account()["secret_access_key"]
    session = requests.Session()
    scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(20)})
    for number in range(tasks):
        jitter = random.uniform(0, INTERVAL / 2)
        scheduler.add_job(read, "interval", (session, url, keys, target(number)), seconds=INTERVAL, jitter=jitter)
    start_http_server(port, "127.0.0.1")
    scheduler.start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
