"""Fourteen incidents, from the vendor's task to the message on the phone: all parts but the vendor are real.

Times are scaled: thresholds, `for` and intervals are seconds. Rules, inhibition and templates are as exported, in both
languages, each language with a Prometheus and an Alertmanager of its own.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from exporter.bundle.files import ExportOptions, bundle
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings, begin_run
from exporter.simulator.server import Simulation, SimulationOptions
from tests.real.conftest import Running, alertmanager_program, free_port, real_part, wait_until

if TYPE_CHECKING:
    from tests.real.conftest import StartExporter

pytestmark = pytest.mark.real

APP = "661e0000000000000000543c"
CLASS_SECONDS = 240
PATIENCE = 60.0
"""Longest wait for a state of affairs, seconds."""
WATCHED = TaskSettings(freeze_check=1, blank_check=1, crash_check=1)
SCALED = {
    "start_grace": "2s",
    "not_found_grace": "1s",
    "early_end": "10s",
    "cut_margin": "5s",
    "overrun_grace": "2s",
    "near_limit": "10m",
    "not_started_after": "2s",
    "status_unknown_after": "3s",
    "not_found_after": "30s",
    "page_refreshes": 2,
    "page_reschedules": 2,
}


RUNS = RunPlan(WATCHED)


@dataclass(frozen=True)
class Incident:
    """What is done to a class by hand (`do=`, one after the other), and the alert and first lines that follow."""

    alert: str
    english: str
    chinese: str
    do: tuple[str, ...] = ()
    plan: RunPlan | None = RUNS
    age: float = 0.0
    starts: float | None = -30.0
    ends: float | None = CLASS_SECONDS


HANGS = RunPlan(WATCHED, starts=None)
START_FAILS = RunPlan(WATCHED, starts=None, ends=1, ending=Ending.START_FAILED)
DARK, FAILED = "WebCastClassDark", "WebCastTaskFailed"
INCIDENTS = {
    "Breaks": Incident(
        DARK, "class dark, it broke for an unknown reason", "课程黑屏, 异常中断\N{FULLWIDTH COMMA}原因未知", ("fail",)
    ),
    "StartFails": Incident(DARK, "class dark, the task could not start", "课程黑屏, 任务启动失败", plan=START_FAILS),
    "Hangs": Incident(DARK, "class dark, it has not started", "课程黑屏, 尚未启动", plan=HANGS),
    "EndsEarly": Incident(
        DARK, "class dark, stopped by a call of StopWebcast", "课程黑屏, 被 StopWebcast 调用停止", ("end",)
    ),
    "IsCut": Incident(DARK, "class dark, it reached its MaxRunningTime", "课程黑屏, 到达 MaxRunningTime", ("cut",)),
    "NeverStarted": Incident(DARK, "class dark, the API knows no such task", "课程黑屏, API 查不到该任务", plan=None),
    "FailsUntimed": Incident(
        FAILED,
        "task failed, it broke for an unknown reason",
        "任务失败, 异常中断\N{FULLWIDTH COMMA}原因未知",
        ("fail",),
        starts=None,
        ends=None,
    ),
    "HangsUntimed": Incident("WebCastTaskNotStarted", "not started", "未启动", plan=HANGS, starts=None, ends=None),
    "Freezes": Incident(
        "WebCastPageRefreshedRepeatedly",
        "page refreshed again and again, the page is frozen",
        "页面反复刷新, 页面冻结",
        ("freeze", "", "start", "freeze", "", "start"),
        RunPlan(replace(WATCHED, freeze_check=3)),
    ),
    "Crashes": Incident(
        "WebCastPageRescheduledRepeatedly",
        "page rescheduled again and again, the page crashed",
        "页面反复重调度, 页面崩溃",
        ("crash", "start", "crash"),
    ),
    "Unknown": Incident("WebCastTaskStatusUnknown", "status unknown to the vendor", "厂商不知道其状态", ("unknown",)),
    "Overruns": Incident(
        "WebCastClassOverrun", "still running after its class", "下课后仍在运行", starts=-60.0, ends=-1.0
    ),
    "NearsItsLimit": Incident(
        "WebCastTaskNearLimit",
        "MaxRunningTime within 10 minutes",
        "十分钟内到达 MaxRunningTime",
        plan=RunPlan(replace(WATCHED, max_running_time=6000)),
        age=5500.0,
        starts=None,
        ends=None,
    ),
    "WillBeCut": Incident(
        "WebCastClassWillBeCut",
        "cut by its MaxRunningTime before the class ends",
        "下课前被 MaxRunningTime 截断",
        plan=RunPlan(replace(WATCHED, max_running_time=900)),
        ends=1800.0,
    ),
}
HEALED = {"Breaks", "StartFails", "Hangs", "EndsEarly", "IsCut", "HangsUntimed", "Unknown"}
"""Those that a new run, or a healed one, ends."""


def target(name: str) -> TargetId:
    """The task of an incident."""
    return TargetId(APP, "Room1", name)


@dataclass
class Phone:
    """The messages that WeCom was to deliver."""

    url: str = ""
    texts: list[str] = field(default_factory=list)

    def first_lines(self, name: str) -> set[str]:
        """First lines of messages about a task."""
        return {text.splitlines()[0] for text in self.texts if f"Room1/{name}:" in text.splitlines()[0]}


@pytest.fixture(scope="module")
def phone() -> Iterator[Callable[[], Phone]]:
    """Starts receivers that answer as WeCom's API does."""
    servers: list[ThreadingHTTPServer] = []

    def started() -> Phone:
        phone = Phone()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                phone.texts.append(body["text"]["content"])
                self.do_GET()

            def do_GET(self) -> None:
                text = json.dumps({"errcode": 0, "access_token": "token"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_args: object) -> None:
                """Nothing is logged."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        phone.url = f"http://127.0.0.1:{server.server_port}"
        return phone

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Chain:
    """A Prometheus, and the phone at the end of its Alertmanager."""

    prometheus: Running
    phone: Phone

    def query(self, expression: str) -> list[dict[str, str]]:
        """The label sets of the answer; none while Prometheus still begins."""
        answer = self.prometheus.get("/api/v1/query", params={"query": expression})
        return [each["metric"] for each in answer.json()["data"]["result"]] if answer.status_code == 200 else []

    def firing(self) -> set[tuple[str, str]]:
        """Alerts that fire, with their tasks."""
        return {(each["alertname"], each.get("task_id", "")) for each in self.query('ALERTS{alertstate="firing"}')}


def reach(find: Callable[[], set[tuple[str, str, str]]], expected: set[tuple[str, str, str]]) -> None:
    """Wait until these fire; fail with what is missing and what is too much."""
    deadline = time.monotonic() + PATIENCE
    while (found := find()) != expected:
        assert time.monotonic() < deadline, f"missing {expected - found}, too much {found - expected}"
        time.sleep(0.2)


@dataclass(frozen=True)
class Stage:
    """All that runs."""

    simulation: Simulation
    exporter: Running
    chains: Mapping[str, Chain]

    def act(self, name: str, action: str) -> None:
        """What a person does to a task, on the simulator's page."""
        url = f"{self.simulation.url}/task/{target(name)}"
        httpx.post(url, params={"do": action}, trust_env=False, timeout=10).raise_for_status()

    def settles(self, expected: set[tuple[str, str]]) -> None:
        """In both languages these alerts fire, and no other; the page and the dashboard's table name the same tasks."""
        both = {(language, *alert) for language in self.chains for alert in expected}
        reach(lambda: {(name, *alert) for name, chain in self.chains.items() for alert in chain.firing()}, both)
        names = {task for _, task in expected}
        listed = self.exporter.get("/api/v1/tasks", params={"limit": "100"}).json()["data"]["tasks"]
        assert {each["target"].rpartition("/")[2] for each in listed if each["problems"]} == names
        series = self.chains["en"].query("webcast_task_problem")
        assert {each["task_id"] for each in series} == names


def scaled_rules(files: Mapping[str, str], directory: Path) -> list[str]:
    """The exported rules, evaluated each second and with short waits; conditions are as they are."""
    for name in ("recording", "alerts"):
        document = yaml.safe_load(files[f"prometheus/{name}.yml"])
        for group in document["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule.update({key: "1s" for key in ("for", "keep_firing_for") if key in rule})
                rule["expr"] = rule["expr"].replace("offset 2m", "offset 2s")
        (directory / f"{name}.yml").write_text(yaml.safe_dump(document, allow_unicode=True))
    return ["recording.yml", "alerts.yml"]


def scaled_alertmanager(files: Mapping[str, str], directory: Path, phone: Phone) -> None:
    """The exported configuration and template; each alert is a message of its own, and all go to the phone."""
    config = yaml.safe_load(files["alertmanager/alertmanager.yml"])
    (ours,) = config["route"]["routes"]
    for route in (ours, *ours["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s", "group_by": ["alertname", "task_id"]}
    wechat = next(each["wechat_configs"][0] for each in config["receivers"] if "wechat_configs" in each)
    wechat["api_url"] = f"{phone.url}/"
    config["receivers"] = [
        {"name": each["name"]} | ({} if each["name"] == "none" else {"wechat_configs": [wechat]})
        for each in config["receivers"]
    ]
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(config))
    (directory / "webcast.tmpl").write_text(files["alertmanager/webcast.tmpl"])


Start = Callable[[list[str], Path, str], Running]


def start_chain(start: Start, program: Path, folder: Path, exporter: Running, phone: Phone) -> Chain:
    """Alertmanager and Prometheus with what `dashboards export` writes; the folder is named after the language."""
    files = bundle(ExportOptions(folder.name, timezone="Asia/Shanghai"))
    folder.mkdir()
    scaled_alertmanager(files, folder, phone)
    alertmanager = f"127.0.0.1:{free_port()}"
    command = [str(program), "--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="]
    start([*command, f"--web.listen-address={alertmanager}"], folder, f"http://{alertmanager}")
    scraped = {"targets": [exporter.url.removeprefix("http://")]}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": scaled_rules(files, folder),
        "scrape_configs": [{"job_name": "webcast", "static_configs": [scraped]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [str(real_part("prometheus")), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    return Chain(start([*command, f"--web.listen-address={address}"], folder, f"http://{address}"), phone)


@pytest.fixture(scope="module")
def stage(
    start_exporter: "StartExporter",
    start_process: Start,
    phone: Callable[[], Phone],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """All classes of the incidents run, and no alert fires but for those whose times make it so."""
    folder = tmp_path_factory.mktemp("incidents")
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        now = time.time()
        listed = [{"targets": [str(target("Well"))], "labels": {"teacher": "Li"}}]
        simulation.fleet.begin(target("Well"), RunPlan(WATCHED))
        for name, each in INCIDENTS.items():
            if each.plan is not None:
                simulation.fleet.add(target(name), begin_run(each.plan, now - each.age))
            times = {"__expected_start__": each.starts, "__expected_end__": each.ends}
            labels = {key: str(round(now + offset)) for key, offset in times.items() if offset is not None}
            listed.append({"targets": [str(target(name))], "labels": {"teacher": "Li", **labels}})
        (folder / "targets.json").write_text(json.dumps(listed))
        (folder / "callback-secret").write_text(simulation.options.callback_secret)
        config: dict[str, Any] = {
            "accounts": [
                {
                    "name": "default",
                    "endpoint": simulation.url,
                    "access_key_id": simulation.credentials.access_key,
                    "secret_access_key": simulation.credentials.secret_key,
                }
            ],
            "file_sd_configs": [{"files": [str(folder / "targets.json")], "refresh_interval": "1s"}],
            "callbacks": {"secret_file": str(folder / "callback-secret")},
            "polling": {"interval": "1s", "fast_interval": "1s", "reread_stopped": "1s", "max_backoff": "2s"},
            "lifecycle": {"linger": "5m"},
            "problems": SCALED,
            "metrics": {"info_labels": ["teacher"]},
        }
        exporter = start_exporter(folder / "exporter", config)
        simulation.send_callbacks(f"{exporter.url}/callback")
        with alertmanager_program(folder) as program:
            start = partial(start_chain, start_process, program, exporter=exporter)
            chains = {language: start(folder / language, phone=phone()) for language in ("en", "zh")}
            yield Stage(simulation, exporter, chains)


def test_fourteen_incidents(stage: Stage) -> None:
    """Each is told once, by the right alert, with class and cause in the first line; and it ends when it is over."""
    untouched = {name for name, each in INCIDENTS.items() if not each.do}
    quiet = {(INCIDENTS[name].alert, name) for name in untouched}
    stage.settles(quiet)
    steps = max(len(each.do) for each in INCIDENTS.values())
    for step in range(steps):
        for name, each in INCIDENTS.items():
            if step < len(each.do) and each.do[step]:
                stage.act(name, each.do[step])
        time.sleep(4)
    stage.settles({(each.alert, name) for name, each in INCIDENTS.items()})
    for name, each in INCIDENTS.items():
        for language, words in (("en", each.english), ("zh", each.chinese)):
            is_told(stage.chains[language].phone, name, f"teacher=Li Room1/{name}: {words}")
    for name in HEALED:
        stage.act(name, "start")
    stage.settles({(each.alert, name) for name, each in INCIDENTS.items() if name not in HEALED})
    for name in HEALED:
        for language, over in (("en", "[OVER]"), ("zh", "[已结束]")):
            is_told(stage.chains[language].phone, name, f"{over} teacher=Li Room1/{name}:")


def is_told(phone: Phone, name: str, words: str) -> None:
    """Wait for a message about the task whose first line has these words."""
    deadline = time.monotonic() + PATIENCE
    while words not in (found := "\n".join(phone.first_lines(name))):
        assert time.monotonic() < deadline, f"{words!r} is not in {found or phone.texts}"
        time.sleep(0.2)


def test_each_rule_is_healthy(stage: Stage) -> None:
    """No rule fails in a real Prometheus on real data, and each was evaluated."""

    def rules() -> list[dict[str, str]]:
        groups = stage.chains["zh"].prometheus.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "each rule was evaluated", 60)
    assert {rule["name"]: rule.get("lastError") for rule in rules() if rule["health"] != "ok"} == {}
