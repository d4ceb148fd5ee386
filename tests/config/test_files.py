"""The files that a configuration names: what is checked of them, and what is warned of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.loader import (
    MAX_CONFIG_FILE,
    holds_secrets,
    load,
    parse_config,
    readable_by_all,
    secret_files,
    warnings,
)
from exporter.config.schema import Config
from exporter.config.web_config import parse_web_config, secret_files_of_web_config
from exporter.errors import ConfigError
from tests.support.certificates import HASH

FOLDER = Path("/etc/webcast")


def test_every_file_of_a_secret_is_looked_at() -> None:
    """Of accounts, feeds, push and callbacks, each at the place that names it; certificates are no secrets."""
    config = parse_config(
        """
accounts:
  - {name: a, access_key_id_file: ak, secret_access_key_file: sk, session_token_file: st, app_ids: [x]}
  - {name: b, access_key_id_file: ak2, secret_access_key_file: sk2, app_ids: [y], tls_config: {ca_file: ca}}
http_sd_configs:
  - {url: "https://a.example/", authorization: {credentials_file: token}}
  - {url: "https://b.example/", basic_auth: {username: u, password_file: pw}, tls_config: {cert_file: c, key_file: k}}
push: {token_file: tokens}
callbacks: {secret_file: secrets}
""",
        FOLDER,
    )
    assert secret_files(config) == {
        place: FOLDER / name
        for place, name in {
            "accounts[0].access_key_id_file": "ak",
            "accounts[0].secret_access_key_file": "sk",
            "accounts[0].session_token_file": "st",
            "accounts[1].access_key_id_file": "ak2",
            "accounts[1].secret_access_key_file": "sk2",
            "push.token_file": "tokens",
            "callbacks.secret_file": "secrets",
            "http_sd_configs[0].authorization.credentials_file": "token",
            "http_sd_configs[1].basic_auth.password_file": "pw",
            "http_sd_configs[1].tls_config.key_file": "k",
        }.items()
    }
    assert not holds_secrets(config)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("accounts: [{name: a}]", False),
        ("accounts: [{access_key_id: AK, secret_access_key: SK}]", True),
        ("accounts: [{proxy_url: 'http://proxy:3128'}]", False),
        ("accounts: [{proxy_url: 'http://u:p@proxy:3128'}]", True),
        ("http_sd_configs: [{url: 'https://a.example/'}]", False),
        ("http_sd_configs: [{url: 'https://a.example/?token=x'}]", True),
        ("http_sd_configs: [{url: 'https://a.example/', authorization: {credentials: x}}]", True),
        ("http_sd_configs: [{url: 'https://a.example/', basic_auth: {username: u, password: p}}]", True),
        ("http_sd_configs: [{url: 'https://a.example/', basic_auth: {username: u, password_file: p}}]", False),
        ("http_sd_configs: [{url: 'https://a.example/', proxy_url: 'http://u:p@proxy:3128'}]", True),
    ],
)
def test_whether_the_configuration_holds_a_secret(text: str, secret: bool) -> None:
    """Itself, not in a file of its own."""
    assert holds_secrets(parse_config(text, FOLDER)) == secret


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("rate_limit: {interval: 1s, burst: 1}", []),
        ("tls_server_config: {cert_file: c, key_file: k}", ["tls_server_config.key_file"]),
        ("tls_server_config: {cert: c, key: k}", ["web.yml"]),
        (f"basic_auth_users: {{a: {HASH}}}", ["web.yml"]),
    ],
)
def test_what_is_secret_of_a_web_config(text: str, places: list[str]) -> None:
    """The file with keys or hashes in it, and a key's own file."""
    assert list(secret_files_of_web_config(Path("web.yml"), parse_web_config(text, FOLDER))) == places


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_who_can_read_a_file(tmp_path: Path, mode: int, told: bool) -> None:
    """A group may read it, other users may not; a file that is not there is reported by another check."""
    file = tmp_path / "secret"
    file.touch()
    file.chmod(mode)
    sentence = f"here: its mode {mode:04o} lets every user of this machine read the file; chmod o-r it"
    files = {"here": file, "there": tmp_path / "nothing", "nowhere": Path("\0")}
    assert [str(problem) for problem in readable_by_all(files)] == ([sentence] if told else [])


CANARY = "canary-in-the-callback-secret"


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], Config]:
    """A configuration beside a file `secret`, loaded as for `serve`."""
    (tmp_path / "secret").write_text(f"{CANARY}\n")

    def read(section: str) -> Config:
        file = tmp_path / "webcast-exporter.yml"
        file.write_text(f"accounts: [{{access_key_id: AK, secret_access_key: SK}}]\ncallbacks: {section}\n")
        return load(file, {})

    return read


def test_callbacks_are_off_without_a_file(read: Callable[[str], Config]) -> None:
    """By default callbacks are off; the event type is a guess, a quarter of an hour is the age."""
    section = read("callbacks:").callbacks
    assert (section.secret_file, section.listen_address) == (None, None)
    room_events = ("UserJoinRoom", "UserLeaveRoom", "InvisibleUserLeaveRoom")
    assert (section.event_types, section.max_age) == (("Webcast", *room_events), 900.0)
    text = "callbacks: {secret_file: keys/s, event_types: [A, B], max_age: 1s, listen_address: ':10961'}"
    section = read(text).callbacks
    assert (section.secret_file, section.event_types) == (Path("/etc/webcast/keys/s"), ("A", "B"))
    assert (section.max_age, section.listen_address) == (1.0, ":10961")


def test_problems_of_the_section(problems: Callable[[str], list[str]]) -> None:
    """Each at its place; a secret itself is not a key of the file."""
    text = "callbacks: {secret_file: '', event_types: [], max_age: 0s, listen_address: '10961', secret: x}"
    assert problems(text) == [
        "callbacks.secret_file: must not be empty",
        "callbacks.event_types: must name an EventType",
        "callbacks.max_age: must not be zero",
        "callbacks.listen_address: '10961' is no address to listen on: write HOST:PORT or :PORT",
        "callbacks.secret: is not a known key; did you mean secret_file?",
    ]
    assert problems("callbacks: {event_types: [Webcast, Webcast]}") == ["callbacks.event_types: names Webcast twice"]
    assert problems("callbacks: {event_types: [[1]]}") == ["callbacks.event_types[0]: must be a string"]


@pytest.mark.parametrize("name", ["nothing", "."])
def test_a_file_without_secrets_is_a_problem_at_the_load(loaded: Callable[[str], Config], name: str) -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.secret_file: the file (does not exist|is a directory)"):
        loaded(f"{{secret_file: {name}}}")


def test_what_is_warned_of(loaded: Callable[[str], Config], tmp_path: Path) -> None:
    """A secret that can be guessed, and an address to which nothing will come."""
    assert warnings(loaded("{secret_file: secret, listen_address: ':10961'}")) == []
    (tmp_path / "secret").write_text("fifteen-letters\n")
    assert warnings(loaded("{secret_file: secret}")) == [
        "callbacks.secret_file: holds a secret of fewer than 16 characters, which can be guessed"
    ]
    assert warnings(loaded("{listen_address: ':10961'}")) == [
        "callbacks.listen_address: has no effect without callbacks.secret_file"
    ]


def test_no_repr_tells_a_secret(loaded: Callable[[str], Config]) -> None:
    assert CANARY not in repr(loaded("{secret_file: secret}"))


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    assert f"{tmp_path}/no.yml does not exist" == refused(tmp_path / "no.yml")


def test_a_directory(tmp_path: Path) -> None:
    assert f"{tmp_path} is a directory, not a file" == refused(tmp_path)


def test_a_file_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file/c.yml does not exist" == refused(tmp_path / "file" / "c.yml")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    assert f"{tmp_path} may not be read by this user" == refused(tmp_path)


def test_an_impossible_name() -> None:
    """A name no file can have is one sentence, too long or with a NUL."""
    assert refused(Path("a\0b")).endswith("is not a possible file name")
    assert refused(Path("a" * 5000)).endswith("cannot be read (File name too long)")


def test_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_bytes(b"a: \xff")
    assert f"{file} is not UTF-8 text (at byte 3)" == refused(file)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """A mark that some editors put first changes nothing."""
    file = tmp_path / "c.yml"
    file.write_bytes(b"\xef\xbb\xbf{}")
    assert Config() == load(file)


def test_too_large(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_bytes(b"#" * (MAX_CONFIG_FILE + 1))
    assert f"{file} has more than 10,485,760 bytes" == refused(file)


def test_relative_files_start_from_the_config(tmp_path: Path) -> None:
    """A file named in the file is sought beside it, wherever the process runs."""
    file = tmp_path / "c.yml"
    file.write_text("accounts: [{access_key_id_file: ak, secret_access_key_file: ../sk, session_token_file: /st}]")
    account = load(file).accounts[0]
    assert (tmp_path / "ak", tmp_path / "../sk", Path("/st")) == (
        account.access_key_id_file,
        account.secret_access_key_file,
        account.session_token_file,
    )


def test_credentials_are_checked_when_asked_to(tmp_path: Path) -> None:
    """With an environment, a configuration that could not call is refused; without one it is only read."""
    file = tmp_path / "c.yml"
    file.write_text("{}")
    assert Config() == load(file)
    assert Config() == load(file, {"VOLC_ACCESSKEY": "AK", "VOLC_SECRETKEY": "SK"})
    with pytest.raises(ConfigError, match=r"accounts\[0\]: has no credentials"):
        load(file, {})


def test_20_000_targets(tmp_path: Path) -> None:
    """The size the contract speaks of is far below every bound."""
    file = tmp_path / "c.yml"
    names = "".join(f"  - 661e0000000000000000543c/Room{number}/Task{number}\n" for number in range(20_000))
    file.write_text(f"static_configs:\n- targets:\n{names}")
    assert len(load(file).static_configs[0].targets) == 20_000


def test_warnings(read: Callable[[str], Config]) -> None:
    """What the vendor's quota forbids, and a fast interval that is slow, are warned of and not refused."""
    assert warnings(read("{accounts: [{max_qps: 60.5}], polling: {interval: 1s}}")) == [
        "accounts[0].max_qps: is more than the 60 calls a second that the vendor allows one account",
        "polling.fast_interval: is longer than polling.interval",
    ]
    assert warnings(read("{accounts: [{max_qps: 60}], polling: {interval: 5s}}")) == []
