from collections.abc import Callable

import pytest

Problems = Callable[[str], list[str]]

TWO = "accounts: [{name: a, app_ids: [x]}, %s]"
HTTP = "http_sd_configs: [{url: 'https://h', %s}]"

BAD = {
    "accounts: []": "accounts: must hold an account",
    "accounts:": "accounts: must be a list",
    "accounts: {name: a}": "accounts: must be a list",
    "accounts: [5]": "accounts[0]: must be a mapping of keys and values",
    "accounts: [{name: ''}]": "accounts[0].name: must be 1 to 64 of the characters a-z A-Z 0-9 _ . -",
    "accounts: [{name: a b}]": "accounts[0].name: must be 1 to 64",
    f"accounts: [{{name: {'a' * 65}}}]": "accounts[0].name: must be 1 to 64",
    "accounts: [{name: [7]}]": "accounts[0].name: must be a string",
    "accounts: [{name: null}]": "accounts[0].name: must be a string",
    TWO % "{name: a, app_ids: [y]}": "accounts[1].name: is the name of accounts[0] too",
    TWO % "{name: b}": "accounts[1].app_ids: is required with several accounts",
    TWO % "{name: b, app_ids: [y, x]}": "accounts[1].app_ids[1]: is an app of accounts[0] too",
    "accounts: [{app_ids: [x, x]}]": "accounts[0].app_ids: names x twice",
    "accounts: [{app_ids: [a/b]}]": "accounts[0].app_ids[0]: must be 1 to 128 of the characters",
    "accounts: [{app_ids: x}]": "accounts[0].app_ids: must be a list",
    "accounts: [{access_key_id: a, access_key_id_file: b}]": "accounts[0].access_key_id_file: excludes access_key_id",
    "accounts: [{secret_access_key: a, secret_access_key_file: b}]": (
        "accounts[0].secret_access_key_file: excludes secret_access_key: give one of the two"
    ),
    "accounts: [{session_token: a, session_token_file: b}]": "accounts[0].session_token_file: excludes session_token",
    "accounts: [{access_key_id: ''}]": "accounts[0].access_key_id: must not be empty",
    "accounts: [{access_key_id: ' '}]": "accounts[0].access_key_id: is empty",
    "accounts: [{access_key_id: '\"AK\"'}]": "accounts[0].access_key_id: is in quotes: write the value alone",
    "accounts: [{access_key_id: '${AK}'}]": "accounts[0].access_key_id: holds ${...}: variables are not replaced here",
    "accounts: [{access_key_id: '<your key>'}]": "accounts[0].access_key_id: is a placeholder in <...>",
    "accounts: [{access_key_id_file: '${HOME}/ak'}]": "accounts[0].access_key_id_file: holds ${...}",
    "accounts: [{endpoint: 'https://${HOST}'}]": "accounts[0].endpoint: holds ${...}",
    "state: {url: 'postgresql+psycopg://u:${PW}@db/x'}": "state.url: holds ${...}",
    "state: {url: 'postgresql+psycopg://u:<password>@db/x'}": "state.url: holds a placeholder in <...>",
    "accounts: [{endpoint: 'https://<host>'}]": "accounts[0].endpoint: holds a placeholder in <...>",
    "accounts: [{proxy_url: 'http://u:{{ .pw }}@proxy:1'}]": "accounts[0].proxy_url: holds {{...}}",
    'accounts: [{secret_access_key: "a\\nb"}]': "accounts[0].secret_access_key: must be one line of plain ASCII text",
    "accounts: [{secret_access_key_file: ''}]": "accounts[0].secret_access_key_file: must not be empty",
    'accounts: [{secret_access_key_file: "a\\0b"}]': "accounts[0].secret_access_key_file: must be a file name",
    "accounts: [{region: a b}]": "accounts[0].region: must be a region such as cn-north-1",
    "accounts: [{api_version: '2021'}]": "accounts[0].api_version: must be one of 2020-12-01 or 2023-11-01",
    "accounts: [{api_version: {}}]": "accounts[0].api_version: must be a string",
    "accounts: [{max_qps: 0}]": "accounts[0].max_qps: must be more than 0",
    "accounts: [{max_qps: .nan}]": "accounts[0].max_qps: must be",
    "accounts: [{max_qps: .inf}]": "accounts[0].max_qps: must be a finite number",
    "accounts: [{max_qps: '48'}]": "accounts[0].max_qps: must be a number",
    "accounts: [{max_qps: yes}]": "accounts[0].max_qps: must be a number",
    "accounts: [{timeout: 0s}]": "accounts[0].timeout: must be 1s or longer",
    "accounts: [{timeout: 999ms}]": "accounts[0].timeout: must be 1s or longer",
    "accounts: [{tls_config: {ca_fil: x}}]": "accounts[0].tls_config.ca_fil: is not a known key; did you mean ca_file?",
    "accounts: [{max_qp: 1}]": "accounts[0].max_qp: is not a known key; did you mean max_qps?",
    "accounts: [{secret_access_key:hunter2}]": (
        "accounts[0].'secret_access_key:...': is not a known key; write `secret_access_key: VALUE`, with a space"
    ),
    "accounts: [{secret_access_key=hunter2}]": "accounts[0].'secret_access_key=...': is not a known key; write",
    "accounts: [{secret_access_key hunter2}]": "accounts[0].'secret_access_key ...': is not a known key; write",
    "accounts: [{'secret_key: hunter2': 1}]": "accounts[0].'secret_key:...': is not a known key",
    HTTP
    % "basic_auth: {username: a, password:hunter2}": "http_sd_configs[0].basic_auth.'password:...': is not a known",
    "static_configs: [{targets: [], labels: {a:b: c}}]": "static_configs[0].labels.'a:b': must be a label name",
    "polling: {intervall: 1s}": "polling.intervall: is not a known key; did you mean interval?",
    "zzz: 1": "zzz: is not a known key",
    "kubernetes_sd_configs: []": "kubernetes_sd_configs: is not a known key",
    "file_sd_configs: {}": "file_sd_configs: must be a list",
    "file_sd_configs: [{}]": "file_sd_configs[0].files: is required",
    "file_sd_configs: [{files: []}]": "file_sd_configs[0].files: must name a file or a pattern of files",
    "file_sd_configs: [{files: a.yml}]": "file_sd_configs[0].files: must be a list",
    "file_sd_configs: [{files: ['']}]": "file_sd_configs[0].files[0]: must not be empty",
    "file_sd_configs: [{files: [a.yml, a.yml]}]": "file_sd_configs[0].files: names /etc/webcast/a.yml twice",
    "file_sd_configs: [{files: [a.txt]}]": "file_sd_configs[0].files[0]: must end in .yml, .yaml or .json",
    "file_sd_configs: [{files: ['a.json*']}]": "file_sd_configs[0].files[0]: must end in .yml, .yaml or .json",
    "file_sd_configs: [{files: [targets.yml/]}]": "file_sd_configs[0].files[0]: must end in .yml, .yaml or .json",
    "file_sd_configs: [{files: ['*/a.yml']}]": (
        "file_sd_configs[0].files[0]: may have wildcards (* ? [) only after its last slash"
    ),
    "file_sd_configs: [{files: [a.yml], refresh_interval: 0s}]": (
        "file_sd_configs[0].refresh_interval: must not be zero"
    ),
    "http_sd_configs: [{}]": "http_sd_configs[0].url: is required",
    "http_sd_configs: [{url: h/targets}]": "http_sd_configs[0].url: must start with https:// or http://",
    "http_sd_configs: [{url: 'http://'}]": "http_sd_configs[0].url: must be a URL with a valid host and port",
    "http_sd_configs: [{url: 'http://u:hunter2@h/'}]": "http_sd_configs[0].url: must hold no user name or password",
    "http_sd_configs: [{url: 'http://h/#a'}]": "http_sd_configs[0].url: must have nothing after a #",
    "http_sd_configs: [{url: 'http://h', refresh_interval: 0s}]": (
        "http_sd_configs[0].refresh_interval: must not be zero"
    ),
    "http_sd_configs: [{url: 'http://h', proxy_url: proxy}]": (
        "http_sd_configs[0].proxy_url: must start with http://, https://, socks5:// or socks5h://"
    ),
    "http_sd_configs: [{url: 'http://h', follow_redirects: 1}]": (
        "http_sd_configs[0].follow_redirects: must be true or false"
    ),
    "http_sd_configs: [{url: 'http://h', bearer_token: x}]": (
        "http_sd_configs[0].bearer_token: is not supported: write authorization: {credentials: ...}"
    ),
    "http_sd_configs: [{url: 'http://h', no_proxy: x}]": "http_sd_configs[0].no_proxy: is not supported here",
    "http_sd_configs: [{url: 'http://h', proxy: x}]": (
        "http_sd_configs[0].proxy: is not a known key; did you mean proxy_url?"
    ),
    HTTP % "tls_config: {server_name: x}": (
        "http_sd_configs[0].tls_config.server_name: is not supported: the certificate must be for the host of the url"
    ),
    HTTP % "tls_config: {cert_file: x}": "http_sd_configs[0].tls_config: needs both cert_file and key_file, or none",
    HTTP % "tls_config: {key_file: x}": "http_sd_configs[0].tls_config: needs both cert_file and key_file, or none",
    HTTP % "authorization: {type: Bearer}": ("http_sd_configs[0].authorization: needs credentials or credentials_file"),
    HTTP % "authorization: {type: basic, credentials: x}": (
        "http_sd_configs[0].authorization.type: must not be Basic: use basic_auth"
    ),
    HTTP % "authorization: {type: a b, credentials: x}": (
        "http_sd_configs[0].authorization.type: must be one word, such as Bearer"
    ),
    HTTP % "authorization: {credentials: x, credentials_file: y}": (
        "http_sd_configs[0].authorization.credentials_file: excludes credentials: give one of the two"
    ),
    HTTP % "basic_auth: {username: u, password: x, password_file: y}": (
        "http_sd_configs[0].basic_auth.password_file: excludes password: give one of the two"
    ),
    HTTP % "basic_auth: {password: x}": "http_sd_configs[0].basic_auth.username: is required",
    HTTP % "basic_auth: {username: 'a:b'}": (
        "http_sd_configs[0].basic_auth.username: must be printable and have no colon in it"
    ),
    HTTP % "authorization: {credentials: x}, basic_auth: {username: u}": (
        "http_sd_configs[0].basic_auth: excludes authorization: give one of the two"
    ),
    "static_configs: [{labels: {a: b}}]": "static_configs[0].targets: is required",
    "static_configs: [{targets: a/b/c}]": "static_configs[0].targets: must be a list",
    "static_configs: [{targets: [a/b/c, a/b/c, d/e/f, a/b]}]": (
        "static_configs[0].targets[3]: 'a/b' is not APP_ID/ROOM_ID/TASK_ID"
    ),
    "static_configs: [{targets: [a/b c/d]}]": "static_configs[0].targets[0]: room id 'b c' must be 1 to 128",
    "static_configs: [{targets: [5]}]": "static_configs[0].targets[0]: '5' is not APP_ID/ROOM_ID/TASK_ID",
    "static_configs: [{targets: [], labels: {a: [b]}}]": "static_configs[0].labels.a: must be a string",
    "static_configs: [{targets: [], labels: {a-b: c}}]": "static_configs[0].labels.a-b: must be a label name",
    "static_configs: [{targets: [], labels: [a]}]": "static_configs[0].labels: must be a mapping of keys and values",
    "static_configs: [{targets: [], labels: {__expected_start__: 2026-01-15}}]": (
        "static_configs[0].labels.__expected_start__: needs a date, a time of day and a time zone"
    ),
    "static_configs: [{targets: [], labels: {__expected_end__: 2026-01-15 08:30:00}}]": (
        "static_configs[0].labels.__expected_end__: needs a date, a time of day and a time zone"
    ),
    "static_configs: [{targets: [], labels: {__expected_start__: soon}}]": "static_configs[0].labels.__expected",
    "static_configs: [{targets: [], labels: {__expected_start__: 18:30:00}}]": "static_configs[0].labels.__expected",
    "static_configs: [{targets: [], labels: {__expected_start__: 1700000009, __expected_end__: 1700000008}}]": (
        "static_configs[0].labels: __expected_end__ is before __expected_start__"
    ),
    "polling: []": "polling: must be a mapping of keys and values",
    "polling: {interval: 0s}": "polling.interval: must not be zero",
    "polling: {interval: 0}": "polling.interval: must not be zero",
    "polling: {interval: 30}": "polling.interval: needs a unit: write 30s",
    "polling: {interval: '30'}": "polling.interval: needs a unit: write 30s",
    "polling: {interval: 1.5}": "polling.interval: needs a unit: write 1s500ms",
    "polling: {interval: .nan}": "polling.interval: must be a duration such as 30s",
    "polling: {interval: -5}": "polling.interval: must be a duration such as 30s",
    "polling: {interval: true}": "polling.interval: must be a duration such as 30s",
    "polling: {interval: null}": "polling.interval: must be a duration such as 30s",
    "polling: {max_backoff: 1s1h}": "polling.max_backoff: must be a duration such as 30s or 1h30m",
    "polling: {fast_interval: 0s}": "polling.fast_interval: must not be zero",
    "polling: {max_backoff: 0s}": "polling.max_backoff: must not be zero",
    "polling: {reread_stopped: 0s}": "polling.reread_stopped: must not be zero",
    "lifecycle: {history: 0s}": "lifecycle.history: must not be zero",
    "lifecycle: {forget_unknown_after: 0s}": "lifecycle.forget_unknown_after: must not be zero",
    "metrics: {groups: [core]}": "metrics.groups[0]: must be one of monitor, video or event_notify",
    "metrics: {groups: [video, video]}": "metrics.groups: names video twice",
    "metrics: {info_labels: [team, user_id]}": "metrics.info_labels[1]: is a built-in label of webcast_task_info",
    "metrics: {info_labels: [__expected_end__]}": "metrics.info_labels[0]: must not start with __",
    "metrics: {info_labels: [a-b]}": "metrics.info_labels[0]: must be a label name",
    "metrics: {info_labels: [team, team]}": "metrics.info_labels: names team twice",
    "metrics: {max_tasks: -1}": "metrics.max_tasks: must be at least 0",
    "metrics: {max_tasks: 1.5}": "metrics.max_tasks: must be a whole number",
    "metrics: {max_tasks: yes}": "metrics.max_tasks: must be a whole number",
    "state: {url: 'mysql://u:hunter2@db/x'}": (
        "state.url: must be sqlite:///FILE, sqlite:////ABSOLUTE/FILE, sqlite:// to keep it in memory only, "
        "or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    ),
    "state: {url: 'postgresql://u:hunter2@db/x'}": "state.url: must be sqlite:///FILE",
    "state: {url: 'postgresql+psycopg://u:hunter2@db'}": "state.url: must be sqlite:///FILE",
    "state: {url: 'postgresql+psycopg://u:hunter2@/x'}": "state.url: must be sqlite:///FILE",
    "state: {url: 'postgresql+psycopg://u:hunter2@db:99999/x'}": "state.url: must be sqlite:///FILE",
    "ha: {enabled: true}": "ha.enabled: needs a state that others can reach: state.url: postgresql+psycopg://HOST/DATABASE",
    "{ha: {enabled: true}, state: {url: 'sqlite:///w.db'}}": "ha.enabled: needs a state that others can reach",
    "ha: {enabled: 1}": "ha.enabled: must be true or false",
    "state: {url: 'sqlite:///'}": "state.url: must be sqlite:///FILE",
    "state: {url: 'sqlite://w.db'}": "state.url: must be sqlite:///FILE",
    "state: {url: 'sqlite:///:memory:'}": "state.url: must be sqlite:///FILE",
    "state: {url: 'sqlite:///w.db?mode=ro'}": "state.url: must be sqlite:///FILE",
    "[]": "the file must be a mapping of keys and values",
    "just text": "the file must be a mapping of keys and values",
    "": "the file is empty",
    "# only a comment": "the file is empty",
    "polling: {interval: 1s, interval: 2s}": "polling.interval: is there twice, on line 1 and line 1",
}


@pytest.mark.parametrize(("text", "problem"), BAD.items(), ids=range(len(BAD)))
def test_a_bad_file(problems: Problems, text: str, problem: str) -> None:
    """Each mistake is one problem, with its path and a sentence that helps, and brings no other problem with it."""
    (told,) = problems(text)
    assert told.startswith(problem)


def test_many_problems_are_counted(problems: Problems) -> None:
    """A generated file can have any number; of a reload all stand in one line of the log, which has a bound."""
    *told, more = problems(f"static_configs: [{{targets: [{', '.join(['bad'] * 1_150)}]}}]")
    assert told[99] == "static_configs[0].targets[99]: 'bad' is not APP_ID/ROOM_ID/TASK_ID"
    assert (len(told), more) == (100, "there are 1,050 more problems")


ENDPOINTS = {
    "http://rtc.volcengineapi.com": "must be https; plain http is only for a loopback host",
    "http://localhost.example": "must be https",
    "http://127.0.0.1.example": "must be https",
    "http://128.0.0.1": "must be https",
    "http://[::2]": "must be https",
    "https://user@host": "must hold no user name or password",
    "https://:hunter2@host": "must hold no user name or password",
    "https://host/path": "must be https://host or https://host:port, with nothing after it",
    "https://host?": "must be https://host or https://host:port, with nothing after it",
    "https://host#x": "must be https://host or https://host:port, with nothing after it",
    "ftp://host": "must start with https://",
    "rtc.volcengineapi.com": "must start with https://",
    "https://": "must be a URL with a valid host and port",
    "https://host:99999": "must be a URL with a valid host and port",
    "https://host:": "must be a URL with a valid host and port",
    "https://host:0": "must be a URL with a valid host and port",
    "https://[::1": "must be a URL with a valid host and port",
    "https://ho_st": "must be a URL with a valid host and port",
    "https://ho st": "must be a URL without spaces",
    "https://host\\\\x": "must be a URL without spaces",
}


@pytest.mark.parametrize(("url", "sentence"), ENDPOINTS.items())
def test_a_bad_endpoint(problems: Problems, url: str, sentence: str) -> None:
    """The signed request goes to an https host, or to a loopback host, and nowhere that a URL could hide."""
    (told,) = problems(f'accounts: [{{endpoint: "{url}"}}]')
    assert told.startswith(f"accounts[0].endpoint: {sentence}")


PROXIES = {
    "socks4://host:1080": "must start with http://, https://, socks5:// or socks5h://",
    "proxy:3128": "must start with http://, https://, socks5:// or socks5h://",
    "http://": "must be a URL with a valid host and port",
    "http://user:hunter2@": "must be a URL with a valid host and port",
    "http://user:hunter2@host:port": "must be a URL with a valid host and port",
    "http://user:hunter2#x@host:1": "must be a URL with a valid host and port; in a user name or password write %40",
    "http://host/hunter2": "must be http://host:port, https://host:port or socks5://host:port, with nothing after it",
}


@pytest.mark.parametrize(("url", "sentence"), PROXIES.items())
def test_a_bad_proxy(problems: Problems, url: str, sentence: str) -> None:
    """A proxy is http, https or SOCKS 5 with a host, and its password is in no sentence."""
    (told,) = problems(f'accounts: [{{proxy_url: "{url}"}}]')
    assert told.startswith(f"accounts[0].proxy_url: {sentence}")
    assert "hunter2" not in told


def test_all_at_once(problems: Problems) -> None:
    """Problems of the YAML, of single values and between accounts are told together."""
    text = """
    accounts:
      - {name: a, max_qps: 0, app_ids: [x]}
      - {name: a, timeout: 5, app_ids: [x]}
    state: {url: "sqlite://", url: "mysql://"}
    """
    paths = [told.partition(": ")[0] for told in problems(text)]
    assert paths == [
        "state.url",
        "accounts[0].max_qps",
        "accounts[1].timeout",
        "state.url",
        "accounts[1].name",
        "accounts[1].app_ids[0]",
    ]


def test_accounts_without_names_share_one(problems: Problems) -> None:
    assert problems("accounts: [{app_ids: [x]}, {app_ids: [y]}]") == [
        "accounts[1].name: is the name of accounts[0] too"
    ]


def test_a_strange_key_cannot_spoil_the_report(problems: Problems) -> None:
    """A key with control characters is shown escaped and cut."""
    (told,) = problems('"a\\x1b[31m' + "b" * 200 + '": 1')
    assert "\x1b" not in told
    assert len(told) < 120
