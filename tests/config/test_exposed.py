"""Files of secrets that every user of the machine can read."""

from pathlib import Path

import pytest

from exporter.config.checks import holds_secrets, readable_by_all, secret_files
from exporter.config.loader import parse_config
from exporter.config.web_config import parse_web_config, secret_files_of_web_config
from tests.certificates import HASH

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
def test_whether_the_configuration_holds_a_secret(text: str, secret: bool) -> None:  # noqa: FBT001
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
def test_who_can_read_a_file(tmp_path: Path, mode: int, told: bool) -> None:  # noqa: FBT001
    """A group may, everybody may not; a file that is not there is somebody else's problem."""
    file = tmp_path / "secret"
    file.touch()
    file.chmod(mode)
    sentence = f"here: its mode {mode:04o} lets every user of this machine read the file; chmod o-r it"
    files = {"here": file, "there": tmp_path / "nothing", "nowhere": Path("\0")}
    assert [str(problem) for problem in readable_by_all(files)] == ([sentence] if told else [])
