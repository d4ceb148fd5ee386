from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from exporter.config.fields import StateUrl
from exporter.config.schema import Account, Config, Lifecycle, Metrics, Polling, State, StaticConfig, TlsConfig
from exporter.model.target import TargetId

CONTRACT = """
accounts:
  - name: default
    access_key_id_file: /run/secrets/volc_ak       # or access_key_id; else $VOLC_ACCESSKEY
    secret_access_key_file: /run/secrets/volc_sk   # or secret_access_key; else $VOLC_SECRETKEY
    session_token_file: null          # or session_token; else $VOLC_SESSION_TOKEN (STS)
    endpoint: https://rtc.volcengineapi.com   # plain http only to a loopback host
    region: cn-north-1
    api_version: "2020-12-01"         # or "2023-11-01"
    max_qps: 48
    timeout: 5s
    proxy_url: null
    tls_config: {ca_file: null}
    app_ids: []
static_configs:
  - targets: [661e0000000000000000543c/Room1/Task1]
    labels: {team: edu}
file_sd_configs:
  - files: [targets/*.yml, targets/*.json]
    refresh_interval: 30s
http_sd_configs:
  - url: https://backend.example/webcast-targets
    refresh_interval: 30s
polling:
  interval: 30s
  fast_interval: 5s
  max_backoff: 5m
  stale_after: 2m
  reread_stopped: 10m
lifecycle:
  linger: 15m
  drain: 30m
  forget_unknown_after: 1h
  history: 7d
metrics:
  groups: [monitor, video, event_notify]
  info_labels: []
  max_tasks: 20000
state:
  url: sqlite:///webcast-exporter.db
"""

DEFAULTS = Config(
    accounts=(
        Account(
            name="default",
            endpoint="https://rtc.volcengineapi.com",
            region="cn-north-1",
            api_version="2020-12-01",
            max_qps=48.0,
            timeout="5s",  # type: ignore[arg-type]  # the field reads what the file has
            tls_config=TlsConfig(ca_file=None),
            app_ids=(),
        ),
    ),
    static_configs=(),
    polling=Polling.model_construct(
        interval=30.0, fast_interval=5.0, max_backoff=300.0, stale_after=120.0, reread_stopped=600.0
    ),
    lifecycle=Lifecycle.model_construct(linger=900.0, drain=1800.0, forget_unknown_after=3600.0, history=604_800.0),
    metrics=Metrics(groups=("monitor", "video", "event_notify"), info_labels=(), max_tasks=20_000),
    state=State(url=StateUrl("sqlite:///webcast-exporter.db")),
)

NO_TARGETS = {"static_configs": (), "file_sd_configs": (), "http_sd_configs": ()}

Read = Callable[[str], Config]


def test_the_contract_s_example(read: Read) -> None:
    """The contract's own example is read, and says nothing but the defaults beside its files and its target."""
    config = read(CONTRACT)
    assert Path("/run/secrets/volc_ak") == config.accounts[0].access_key_id_file
    assert Path("/run/secrets/volc_sk") == config.accounts[0].secret_access_key_file
    group = StaticConfig.model_construct(
        targets=(TargetId("661e0000000000000000543c", "Room1", "Task1"),), labels={"team": "edu"}
    )
    assert (group,) == config.static_configs
    account = config.accounts[0].model_copy(update={"access_key_id_file": None, "secret_access_key_file": None})
    assert config.model_copy(update={"accounts": (account,), **NO_TARGETS}) == DEFAULTS


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "accounts: [{}]",
        "accounts:\n  -\n",
        "static_configs:\nfile_sd_configs:\nhttp_sd_configs:\npolling:\nlifecycle:\nmetrics:\nstate:\n",
        "accounts: [{tls_config: }]",
    ],
)
def test_defaults(read: Read, text: str) -> None:
    """What is left out, or left empty, has the contract's default."""
    assert read(text) == DEFAULTS


def test_everything_given(read: Read) -> None:
    """Each key of an account and of the sections is read as what it means."""
    config = read(
        """
        accounts:
          - {name: a, access_key_id: AK, secret_access_key: SK, session_token: ST, endpoint: "http://127.0.0.1:18080/",
             region: ap-southeast-1, api_version: 2023-11-01, max_qps: 0.5, timeout: 1s,
             proxy_url: "http://user:pw@proxy:3128", tls_config: {ca_file: ca.pem}, app_ids: [app1, app2]}
        static_configs:
          - targets: [app1/r/t]
            labels: {__expected_start__: 2026-01-15T08:30:00Z, __expected_end__: 1768469400, __other__: x, team: "7"}
        polling: {interval: 1s, stale_after: 0s}
        lifecycle: {linger: 0s, drain: 0}
        metrics: {groups: [], info_labels: [team], max_tasks: 0}
        state: {url: "sqlite:////var/lib/w.db"}
        """
    )
    account = config.accounts[0]
    assert account.endpoint == "http://127.0.0.1:18080"
    assert (
        account.api_version,
        account.max_qps,
        account.timeout,
        account.app_ids,
    ) == ("2023-11-01", 0.5, 1.0, ("app1", "app2"))
    assert SecretStr("http://user:pw@proxy:3128") == account.proxy_url
    assert Path("/etc/webcast/ca.pem") == account.tls_config.ca_file
    assert config.static_configs[0].labels == {
        "__expected_start__": "2026-01-15T08:30:00Z",
        "__expected_end__": "1768469400",
        "__other__": "x",
        "team": "7",
    }
    assert (config.polling.interval, config.polling.stale_after, config.lifecycle.linger) == (1.0, 0.0, 0.0)
    assert (config.metrics.groups, config.metrics.info_labels, config.metrics.max_tasks) == ((), ("team",), 0)
    assert Path("/var/lib/w.db") == config.state.url.path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite://", None),
        ("sqlite:///w.db", Path("w.db")),
        ("sqlite:///a/w.db", Path("a/w.db")),
        ("sqlite:////w.db", Path("/w.db")),
        ("postgresql+psycopg://db/webcast", None),
    ],
)
def test_the_state_s_file(read: Read, url: str, path: Path | None) -> None:
    """Three slashes begin a relative path, four an absolute one, two mean memory; the config's folder plays no part."""
    assert path == read(f'state: {{url: "{url}"}}').state.url.path


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///w.db", "sqlite:///w.db"),
        ("postgresql+psycopg://u:hunter2@db:5433/x", "postgresql+psycopg://u:<secret>@db:5433/x"),
        ("postgresql+psycopg://u:hun%40ter2@db/x?password=hunter3", "postgresql+psycopg://u:<secret>@db/x"),
        ("postgresql+psycopg://u@db/x", "postgresql+psycopg://u@db/x"),
        ("postgresql+psycopg://[::1]/x", "postgresql+psycopg://[::1]/x"),
    ],
)
def test_a_server_s_password_is_not_shown(read: Read, url: str, shown: str) -> None:
    """Nor anything after a question mark; not by str, repr or a dump."""
    state = read(f'state: {{url: "{url}"}}').state
    assert (str(state.url), state.url.whole) == (shown, url)
    assert "hunter" not in f"{state!r} {state} {state.model_dump()} {state.model_dump_json()}"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("db/x", {"host": "db", "database": "x"}),
        ("u@db:5433/x", {"username": "u", "host": "db", "port": 5433, "database": "x"}),
        ("u:p%40:s@db/x", {"username": "u", "password": "p@:s", "host": "db", "database": "x"}),
        ("u:@[::1]:1/x%20y", {"username": "u", "password": "", "host": "::1", "port": 1, "database": "x y"}),
        ("a,b/x?sslmode=require&host=a&host=b", {"host": "a,b", "database": "x", "query": ("require", "a", "b")}),
    ],
)
def test_a_server_s_url_is_taken_apart_once(read: Read, url: str, parts: dict[str, object]) -> None:
    """Its parts are handed on, decoded, so that no other parser cuts it elsewhere."""
    found = read(f'state: {{url: "postgresql+psycopg://{url}"}}').state.url.parts
    query = tuple(each for values in found.pop("query").values() for each in values)
    assert {name: value for name, value in {**found, "query": query}.items() if value not in (None, ())} == {
        "drivername": "postgresql+psycopg",
        **parts,
    }


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("u:hun@ter2@db/x", "in a user name or password write %40 for @, %2F for /"),
        ("u:hun/ter2@db/x", "in a user name or password write %40 for @, %2F for /"),
        ("u:hun#ter2@db/x", "must be sqlite:///FILE"),
        ("u:hun?ter2@db/x", "in a user name or password write %40 for @, %2F for /"),
        ("u:hun%00ter2@db/x", "has a % that begins no code such as %40"),
        ("u:hun%ffter2@db/x", "has % codes that are no UTF-8 text"),
        ("u:hun%ter2@db/x", "has a % that begins no code such as %40: write %25 for the character itself"),
        ("u:hunter2@db:0/x", "must be sqlite:///FILE"),
        ("u:hunter2@db:65536/x", "must be sqlite:///FILE"),
        ("u:hunter2@d b/x", "must be sqlite:///FILE"),
        ("u:hunter2@[::1/x", "must be sqlite:///FILE"),
        (":hunter2@db/x", "must be sqlite:///FILE"),
        ("u:hunter2@db/x/y", "must be sqlite:///FILE"),
        ("u:hunter2@db/x#y", "must be sqlite:///FILE"),
        ("u:hunter2\\n@db/x", "must be sqlite:///FILE"),
    ],
)
def test_an_ambiguous_url_is_refused(problems: Callable[[str], list[str]], url: str, sentence: str) -> None:
    """What two parsers could cut at different places would show a password in an error, or in a DNS query."""
    (told,) = problems(f'state: {{url: "postgresql+psycopg://{url}"}}')
    assert told.startswith("state.url: ")
    assert sentence in told
    assert "ter2" not in told


def test_a_password_is_cut_out_of_foreign_sentences() -> None:
    """In every form in which a library could have written it."""
    url = StateUrl("postgresql+psycopg://u:hun%40ter2@db/x?sslmode=require&sslpassword=s3cret")
    told = f"{url.whole} hun@ter2 hun%40ter2 s3cret require"
    assert url.hide_in(told) == f"{url} <secret> <secret> <secret> require"
    url = StateUrl(
        "postgresql+psycopg://u:hun%40ter2@db/x?application_name=a@b&sslpassword=s%2B3+t&client_secret=oauth"
    )
    assert url.hide_in("hun%40ter2 hun@ter2 s%2B3+t s+3+t s+3 t oauth a@b") == f"{'<secret> ' * 6}a@b"
    assert StateUrl("sqlite:///w.db").hide_in("w.db is locked") == "w.db is locked"


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULTS.polling.interval = 1.0
