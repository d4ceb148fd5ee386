"""Fourteen incidents, from the vendor's task to the message on the phone: all parts but the vendor are real.

Times are scaled: thresholds, `for` and intervals are seconds. Rules, inhibition and templates are as exported, in both
languages, each language with a Prometheus and an Alertmanager of its own.

Prometheus scrapes numbered snapshots of the exporter: each is what `/metrics`, the JSON and the page `/tasks` say at
one moment. So each instant of Prometheus is compared with the snapshot that it had scraped by then, however slow the
machine is.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from exporter.bundle.files import ExportOptions, bundle
from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan, TaskSettings
from exporter.simulator.server import Simulation, SimulationOptions
from tests.real.conftest import Running, alertmanager_program, free_port, real_part, wait_until
from tests.support import web_client

if TYPE_CHECKING:
    from tests.real.conftest import StartExporter

pytestmark = pytest.mark.real

APP = "661e0000000000000000543c"
CLASS_SECONDS = 900
LIMIT = 60.0
"""Longest wait for a state of affairs, seconds."""
MAX_TRIES = 50
"""So often in a row the page, the JSON and /metrics may differ because something changed between the requests."""
WATCHED = TaskSettings(freeze_check=1, blank_check=1, crash_check=1)
SCALED = {
    "start_grace": "1s",
    "not_found_grace": "1s",
    "early_end": "10s",
    "cut_margin": "5s",
    "overrun_grace": "2s",
    "near_limit": "10m",
    "not_started_after": "1s",
    "status_unknown_after": "1s",
    "not_found_after": "10m",
    "page_refreshes": 2,
    "page_reschedules": 2,
}
RUNS = RunPlan(WATCHED)
HANGS = RunPlan(WATCHED, starts=None)
START_FAILS = RunPlan(WATCHED, starts=None, ends=1, ending=Ending.START_FAILED)


def troubled(reason: PageReason) -> RunPlan:
    """A run whose page goes wrong twice; the vendor's first remedy helps each time."""
    return RunPlan(WATCHED, troubles=(PageTrouble(reason, after=1), PageTrouble(reason, after=2)))


@dataclass(frozen=True)
class Incident:
    """What becomes of a class, and the alert and first lines that follow.

    `plan` is its run from the beginning. Later a person does something by hand (`do`), or the run `later` begins.
    """

    alert: str
    english: str
    chinese: str
    do: str = ""
    plan: RunPlan | None = RUNS
    later: RunPlan | None = None
    age: float = 0.0
    starts: float | None = -30.0
    ends: float | None = CLASS_SECONDS


DARK, FAILED = "WebCastClassDark", "WebCastTaskFailed"
INCIDENTS = {
    "Breaks": Incident(
        DARK, "class dark, it broke for an unknown reason", "课程黑屏, 异常中断\N{FULLWIDTH COMMA}原因未知", "fail"
    ),
    "StartFails": Incident(
        DARK, "class dark, the task could not start", "课程黑屏, 任务启动失败", plan=START_FAILS, age=5.0
    ),
    "Hangs": Incident(DARK, "class dark, it has not started", "课程黑屏, 尚未启动", plan=HANGS),
    "EndsEarly": Incident(
        DARK, "class dark, stopped by a call of StopWebcast", "课程黑屏, 被 StopWebcast 调用停止", "end"
    ),
    "IsCut": Incident(DARK, "class dark, it reached its MaxRunningTime", "课程黑屏, 到达 MaxRunningTime", "cut"),
    "NeverStarted": Incident(DARK, "class dark, the API knows no such task", "课程黑屏, API 查不到该任务", plan=None),
    "FailsUntimed": Incident(
        FAILED,
        "task failed, it broke for an unknown reason",
        "任务失败, 异常中断\N{FULLWIDTH COMMA}原因未知",
        "fail",
        starts=None,
        ends=None,
    ),
    "HangsUntimed": Incident("WebCastTaskNotStarted", "not started", "未启动", plan=HANGS, starts=None, ends=None),
    "Freezes": Incident(
        "WebCastPageRefreshedRepeatedly",
        "page refreshed again and again, the page is frozen",
        "页面反复刷新, 页面卡住",
        plan=None,
        later=troubled(PageReason.FREEZE),
        starts=None,
        ends=None,
    ),
    "Crashes": Incident(
        "WebCastPageRescheduledRepeatedly",
        "page rescheduled again and again, the page crashed",
        "页面反复重调度, 页面崩溃",
        plan=None,
        later=troubled(PageReason.CRASH),
        starts=None,
        ends=None,
    ),
    "Unknown": Incident("WebCastTaskStatusUnknown", "status unknown to the vendor", "厂商不知道其状态", "unknown"),
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
HEALED = {"Breaks", "StartFails", "Hangs", "EndsEarly", "HangsUntimed", "Unknown"}
"""Those that a new run, or a healed one, ends."""
OVER = {"NeverStarted", "IsCut"}
"""Those whose classes are over in the end."""


def target(name: str) -> TargetId:
    """The task of an incident."""
    return TargetId(APP, "Room1", name)


Firing = set[tuple[str, str]]
"""Alerts, each with its task."""


def firing(*without: str) -> Firing:
    """The alerts of all incidents but these."""
    return {(each.alert, name) for name, each in INCIDENTS.items() if name not in without}


class Told(NamedTuple):
    """One problem of one task."""

    task: str
    problem: str
    cause: str


@dataclass(frozen=True)
class Snapshot:
    """What the exporter says at one moment: /metrics, and the problems that it, the JSON and the page /tasks name."""

    metrics: str
    problems: frozenset[Told]

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks that need attention."""
        return frozenset(each.task for each in self.problems)


class Snapshots:
    """Takes snapshots of an exporter, one after the other, and serves the latest with its number to Prometheus."""

    def __init__(self, exporter: Running) -> None:
        self.all: list[Snapshot] = []
        self.url = ""
        self._exporter = exporter
        self._stopped = Event()
        self._disagreement = ""

    @contextmanager
    def running(self) -> Iterator["Snapshots"]:
        """Take and serve them in the meantime."""
        thread = Thread(target=self._run, daemon=True)
        with serving(lambda _body: f"{self.latest.metrics}test_snapshot {len(self.all) - 1}\n") as self.url:
            thread.start()
            wait_until(lambda: self.all or self._disagreement, "a first snapshot")
            yield self
            self._stopped.set()
            thread.join()

    @property
    def latest(self) -> Snapshot:
        """The latest; fails when page, JSON and /metrics do not agree."""
        assert not self._disagreement, self._disagreement
        return self.all[-1]

    def _run(self) -> None:
        tries, languages = 0, ("en", "zh")
        while not self._stopped.wait(0.1):
            try:
                snapshot, difference = self._take(languages[len(self.all) % len(languages)])
            except httpx.TransportError as error:
                snapshot, difference = None, repr(error)
            if snapshot is not None:
                self.all.append(snapshot)
            tries = tries + 1 if difference else 0
            self._disagreement = difference if tries > MAX_TRIES else ""

    def _take(self, language: str) -> tuple[Snapshot | None, str]:
        """A snapshot, or what differs; neither when something changed meanwhile."""
        listed = self._listed()
        page = self._exporter.get("/tasks", headers={"Accept-Language": language}).text
        metrics = self._exporter.get("/metrics").text
        if self._listed() != listed:
            return None, ""
        problems = {Told(task, problem, cause) for task, _, problem, cause in listed}
        worst = {task: severity for task, severity, _, _ in reversed(listed)}
        series, counts = of_metrics(metrics)
        found = (on_page(page), series, counts)
        expected = (worst, problems, Counter(each.problem for each in problems))
        if found != expected:
            return None, f"page, series and counts: {found}; JSON: {expected}"
        return Snapshot(metrics, frozenset(problems)), ""

    def _listed(self) -> list[tuple[str, str, str, str]]:
        """Task, severity, problem and cause by the JSON, the worst of a task first."""
        tasks = self._exporter.get("/api/v1/tasks", params={"limit": "100"}).json()["data"]["tasks"]
        return [
            (each["task_id"], problem["severity"], problem["problem"], problem["cause"])
            for each in tasks
            for problem in each["problems"]
        ]


ROW = re.compile(r'<tr role="row".*?</tr>', re.DOTALL)
LINK = re.compile(r'href="/tasks/[^"/]+/[^"/]+/([^"/]+)"')
PROBLEM = re.compile(r'<small class="(critical|warning|info)">')


def on_page(html: str) -> dict[str, str]:
    """The tasks that /tasks says need attention, with the severity that it shows."""
    found = {}
    for row in ROW.findall(html):
        if (problem := PROBLEM.search(row)) and (task := LINK.search(row)):
            found[task[1]] = problem[1]
    return found


def of_metrics(text: str) -> tuple[set[Told], Counter[str]]:
    """The problems by their series, and how many tasks have each by the counts that Fleet's first row shows."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    series = {
        Told(*(sample.labels[name] for name in ("task_id", "problem", "cause")))
        for sample in samples
        if sample.name == "webcast_task_problem"
    }
    counted = {
        sample.labels["problem"]: int(sample.value) for sample in samples if sample.name == "webcast_problem_tasks"
    }
    return series, Counter({problem: number for problem, number in counted.items() if number})


@contextmanager
def serving(answer: Callable[[bytes], str]) -> Iterator[str]:
    """A server that answers each request by its body; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self.rfile.read(int(self.headers.get("Content-Length", "0")))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_args: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@dataclass
class Phone:
    """The messages that WeCom was to deliver; it answers as WeCom's API does."""

    url: str = ""
    texts: list[str] = field(default_factory=list)

    def answer(self, body: bytes) -> str:
        """Take a message, or give a token."""
        if body:
            self.texts.append(json.loads(body)["text"]["content"])
        return json.dumps({"errcode": 0, "access_token": "token"})

    def first_lines(self, name: str) -> list[str]:
        """First lines of the messages about a task, in their order."""
        return [line for text in self.texts if f"Room1/{name}:" in (line := text.splitlines()[0])]


Labels = dict[str, str]
FIRST, LAST = "test:snapshot:first", "test:snapshot:last"
"""Recorded at the beginning and at the end of an evaluation of the rules of classes: the snapshot of then."""


@dataclass(frozen=True)
class Chain:
    """A Prometheus, and the phone at the end of its Alertmanager."""

    prometheus: Running
    phone: Phone

    def ask(self, path: str, **params: str) -> list[dict[str, Any]]:
        """The series of an answer; none while Prometheus still begins."""
        answer = self.prometheus.get(f"/api/v1/{path}", params=params)
        return list(answer.json()["data"]["result"]) if answer.status_code == httpx.codes.OK else []

    def firing(self) -> Firing:
        """Alerts that fire now, with their tasks."""
        return {alert_of(each["metric"]) for each in self.ask("query", query=FIRING)}

    def recorded(self, name: str) -> dict[int, int]:
        """Every sample of a recorded number, by its time in milliseconds."""
        (series,) = self.ask("query", query=f"{name}[1h]")
        return {milliseconds(at): int(value) for at, value in series["values"]}

    def over_time(self, expression: str, moments: list[int]) -> dict[int, list[Labels]]:
        """The label sets of the answers at these moments, which are whole seconds apart."""
        limits = {"start": f"{moments[0] / 1000:.3f}", "end": f"{moments[-1] / 1000:.3f}", "step": "1"}
        found: dict[int, list[Labels]] = {moment: [] for moment in moments}
        for series in self.ask("query_range", query=expression, **limits):
            for at, value in series["values"]:
                if milliseconds(at) in found:
                    found[milliseconds(at)].append({**series["metric"], "value": value})
        return found


FIRING = 'ALERTS{alertstate="firing"}'


def alert_of(labels: Labels) -> tuple[str, str]:
    """An alert with its task."""
    return labels["alertname"], labels.get("task_id", "")


def milliseconds(at: float) -> int:
    """A time of Prometheus, which has whole milliseconds."""
    return round(at * 1000)


def fleet_table() -> list[str]:
    """The queries of the dashboard's table of problems, as Grafana sends them."""
    panels = json.loads(bundle()["grafana/fleet.json"])["panels"]
    (panel,) = (each for each in panels if each["title"] == "What is wrong, the worst first")
    expressions = [each["expr"].replace("$label", "teacher") for each in panel["targets"]]
    return [re.sub(r'"\$(job|instance|app_id)"', '".*"', expression) for expression in expressions]


@dataclass(frozen=True)
class Stage:
    """All that runs."""

    simulation: Simulation
    snapshots: Snapshots
    chains: Mapping[str, Chain]
    targets: Path
    began: float = field(default_factory=time.time)

    def act(self, name: str, action: str) -> None:
        """What a person does to a task, on the simulator's page."""
        url = f"{self.simulation.url}/task/{target(name)}"
        web_client.post(url, params={"do": action}).raise_for_status()

    def list(self, *over: str) -> None:
        """The targets with the times of their classes; those of `over` end now."""
        listed = [{"targets": [str(target("Well"))], "labels": {"teacher": "Li"}}]
        for name, each in INCIDENTS.items():
            ends = time.time() - self.began if name in over else each.ends
            times = {"__expected_start__": each.starts, "__expected_end__": ends}
            labels = {key: str(round(self.began + offset)) for key, offset in times.items() if offset is not None}
            listed.append({"targets": [str(target(name))], "labels": {"teacher": "Li", **labels}})
        self.targets.write_text(json.dumps(listed))

    def settles(self, expected: Firing) -> None:
        """In both languages these alerts fire, and no other, and they name the tasks that need attention."""
        deadline = time.monotonic() + LIMIT
        tasks = {task for _, task in expected}
        while (found := [chain.firing() for chain in self.chains.values()]) != [expected] * len(found) or (
            self.snapshots.latest.tasks != tasks
        ):
            wrong = [(expected - each, each - expected) for each in found]
            assert time.monotonic() < deadline, f"missing, too much: {wrong}; exporter: {self.snapshots.latest.tasks}"
            time.sleep(0.2)


def scaled_rules(files: Mapping[str, str], directory: Path) -> list[str]:
    """The exported rules, evaluated each second and with short waits; conditions are as they are.

    Alerts of the exporter wait a tenth of their time, so that a slow machine's late scrapes are no outage. The rules of
    classes also record the snapshot that they see, at the beginning and at the end of each evaluation.
    """
    for name in ("recording", "alerts"):
        document = yaml.safe_load(files[f"prometheus/{name}.yml"])
        for group in document["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = f"{6 * int(rule['for'].removesuffix('m'))}s"
                if "keep_firing_for" in rule:
                    rule["keep_firing_for"] = "1s"
                rule["expr"] = rule["expr"].replace("offset 2m", "offset 2s")
            if group["name"] == "webcast-class":
                numbers = [{"record": each, "expr": "test_snapshot"} for each in (FIRST, LAST)]
                group["rules"] = [numbers[0], *group["rules"], numbers[1]]
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


def start_chain(start: Start, program: Path, folder: Path, scraped: str, phone: Phone) -> Chain:
    """Alertmanager and Prometheus with what `dashboards export` writes; the folder is named after the language."""
    files = bundle(ExportOptions(folder.name, timezone="Asia/Shanghai"))
    folder.mkdir()
    scaled_alertmanager(files, folder, phone)
    notified = f"127.0.0.1:{free_port()}"
    command = [str(program), "--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="]
    alertmanager = start([*command, f"--web.listen-address={notified}"], folder, f"http://{notified}")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": scaled_rules(files, folder),
        "scrape_configs": [{"job_name": "webcast", "static_configs": [{"targets": [scraped.removeprefix("http://")]}]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [notified]}]}]},
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [str(real_part("prometheus")), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    prometheus = start([*command, f"--web.listen-address={address}"], folder, f"http://{address}")
    wait_until(lambda: alertmanager.answers("/-/ready") and prometheus.answers("/-/ready"), "both are ready")
    return Chain(prometheus, phone)


@pytest.fixture(scope="module")
def stage(
    start_exporter: "StartExporter", start_process: Start, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """All classes of the incidents run, and no alert fires but for those whose times make it so."""
    folder = tmp_path_factory.mktemp("incidents")
    with ExitStack() as running:
        simulation = running.enter_context(Simulation(SimulationOptions(tasks=0, speed=1)))
        simulation.fleet.begin(target("Well"), RunPlan(WATCHED))
        for name, each in INCIDENTS.items():
            if each.plan is not None:
                simulation.fleet.begin(target(name), each.plan, age=each.age)
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
            "lifecycle": {"linger": "10m"},
            "problems": SCALED,
            "metrics": {"info_labels": ["teacher"]},
        }
        chains: dict[str, Chain] = {}
        (folder / "targets.json").write_text("[]")
        exporter = start_exporter(folder / "exporter", config)
        snapshots = running.enter_context(Snapshots(exporter).running())
        stage = Stage(simulation, snapshots, chains, folder / "targets.json")
        stage.list()
        simulation.send_callbacks(f"{exporter.url}/callback")
        program = running.enter_context(alertmanager_program(folder))
        for language in ("en", "zh"):
            phone = Phone()
            phone.url = running.enter_context(serving(phone.answer))
            chains[language] = start_chain(start_process, program, folder / language, snapshots.url, phone)
        yield stage


def test_fourteen_incidents(stage: Stage) -> None:
    """Each is told once, by the right alert, with class and cause in the first line; and it ends when it is over."""
    stage.settles(firing(*(name for name, each in INCIDENTS.items() if each.do or each.later)))
    for name, each in INCIDENTS.items():
        if each.do:
            stage.act(name, each.do)
        if each.later:
            stage.simulation.fleet.begin(target(name), each.later)
    stage.settles(firing())
    for name in HEALED:
        stage.act(name, "start")
    stage.list(*OVER)
    stage.settles(firing(*OVER, *HEALED))
    for language, over in (("en", "[OVER]"), ("zh", "[已结束]")):
        chain = stage.chains[language]
        for name, each in INCIDENTS.items():
            is_told(chain.phone, name, each, language, over if name in HEALED | OVER else "")
        page_table_and_alerts_agree(chain, stage.snapshots.all)


def is_told(phone: Phone, name: str, incident: Incident, language: str, over: str) -> None:
    """One message when it begins, and one when it is over; no other about this task."""
    words = incident.english if language == "en" else incident.chinese
    ends = ": " + words.partition(",")[0]
    wait_until(lambda: len(phone.first_lines(name)) >= 1 + bool(over), f"messages about {name}")
    first, *rest = phone.first_lines(name)
    assert first.partition(" ")[2] == f"teacher=Li Room1/{name}: {words}"
    assert [line.partition(ends)[0] for line in rest] == [f"{over} teacher=Li Room1/{name}"] * bool(over)


def page_table_and_alerts_agree(chain: Chain, snapshots: list[Snapshot]) -> None:
    """At every evaluation of the rules, series, table and alerts name the tasks that the exporter named when scraped.

    A scrape may come in during an evaluation, so that an alert follows the snapshot before it or the one after it. One
    with `keep_firing_for` goes on for one more evaluation.
    """
    begins, ends = chain.recorded(FIRST), chain.recorded(LAST)
    moments = sorted(begins.keys() & ends.keys())
    scraped = {
        at: int(each["value"]) for at, found in chain.over_time("test_snapshot", moments).items() for each in found
    }
    problems = chain.over_time("webcast_task_problem", moments)
    tables = [chain.over_time(expression, moments) for expression in fleet_table()]
    alerts = {at: set(map(alert_of, each)) for at, each in chain.over_time(FIRING, moments).items()}
    assert set().union(*alerts.values()) == firing()
    names = [snapshot.tasks for snapshot in snapshots]
    before = moments[0]
    for at in moments:
        if at in scraped:
            told = snapshots[scraped[at]]
            assert {
                Told(each["task_id"], each["problem"], each.get("cause", "")) for each in problems[at]
            } == told.problems
            for table in tables:
                assert {each["task_id"] for each in table[at]} == told.tasks, f"table at {at}"
        seen = sorted(
            {number for number in scraped.values() if begins[at] <= number <= ends[at]} | {begins[at], ends[at]}
        )
        earlier = {number for number in scraped.values() if begins[before] <= number <= ends[at]}
        fires = {task for _, task in alerts[at]}
        assert frozenset.intersection(*(names[number] for number in seen)) <= fires, f"alerts at {at}"
        assert fires <= frozenset().union(*(names[number] for number in {*seen, *earlier})), f"alerts at {at}"
        before = at
    for alert in firing():
        fired = [number for number, at in enumerate(moments) if alert in alerts[at]]
        assert fired == list(range(fired[0], fired[-1] + 1)), f"{alert} stopped and began again"


def test_each_rule_is_healthy(stage: Stage) -> None:
    """No rule fails in a real Prometheus on real data, and each was evaluated."""

    def rules() -> list[dict[str, str]]:
        groups = stage.chains["zh"].prometheus.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "each rule was evaluated", 60)
    assert {rule["name"]: rule.get("lastError") for rule in rules() if rule["health"] != "ok"} == {}
