from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from click.testing import Result

if TYPE_CHECKING:
    from tests.cli.conftest import Api

Run = Callable[..., Result]

COMMANDS = [("check",), ("serve",), ("get", "app", "Room", "Task")]


def lines(result: Result) -> list[str]:
    return result.stderr.splitlines()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_all_problems_at_once(run: Run, api: "Api", command: tuple[str, ...]) -> None:
    """Exit 2; each problem is a line `webcast-exporter: path: sentence`, and none holds the secret."""
    config = api.config(
        api.account(max_qps=0, endpoint="http://rtc.example", secret_access_key="canary"),
        polling={"interval": "0s"},
        pollng={},
    )
    result = run(*command, "--config.file", config)
    assert (result.exit_code, result.stdout) == (2, "")
    assert {line.split(": ")[0] for line in lines(result)} == {"webcast-exporter"}
    assert {line.split(": ")[1] for line in lines(result)} == {
        "accounts[0].endpoint",
        "accounts[0].max_qps",
        "polling.interval",
        "pollng",
    }
    assert "webcast-exporter: polling.interval: must not be zero" in lines(result)
    assert "canary" not in result.output


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_file_that_is_not_there(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command, "--config.file", "nowhere.yml")
    assert (result.exit_code, lines(result)) == (2, ["webcast-exporter: nowhere.yml does not exist"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "the file is empty"),
        ("[]", "must be a mapping"),
        ("accounts: [", "is not YAML at line"),
        ("\0", "is not YAML"),
    ],
)
def test_a_file_that_is_no_configuration(run: Run, api: "Api", content: str, sentence: str) -> None:
    (api.folder / "bad.yml").write_text(content)
    result = run("check", "--config.file", str(api.folder / "bad.yml"))
    assert result.exit_code == 2
    assert len(lines(result)) == 1
    assert sentence in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_credentials(run: Run, api: "Api", command: tuple[str, ...]) -> None:
    result = run(*command, "--config.file", api.config({"name": "default"}))
    assert result.exit_code == 2
    assert result.stderr.startswith("webcast-exporter: accounts[0]: has no credentials")
    for way in ("access_key_id and secret_access_key", "secret_access_key_file", "$VOLC_ACCESSKEY and $VOLC_SECRETKEY"):
        assert way in result.stderr


def test_get_without_file_and_credentials(run: Run) -> None:
    """Without a file the sentence is the same."""
    result = run("get", "app", "Room", "Task")
    assert result.exit_code == 2
    assert result.stderr.startswith("webcast-exporter: accounts[0]: has no credentials")


def test_half_of_the_credentials(run: Run, api: "Api") -> None:
    result = run("check", "--config.file", api.config({"name": "default"}), env={"VOLC_ACCESSKEY": "AKLTexample"})
    assert (result.exit_code, "$VOLC_SECRETKEY is not set" in result.stderr) == (2, True)


def test_a_secret_that_is_a_directory(run: Run, api: "Api") -> None:
    """Kubernetes mounts a directory where a file was meant: it is said so."""
    account = api.account(secret_access_key_file=str(api.folder))
    del account["secret_access_key"]
    result = run("check", "--config.file", api.config(account))
    expected = "webcast-exporter: accounts[0].secret_access_key_file: the file is a directory, not a file"
    assert (result.exit_code, lines(result)) == (2, [expected])


def test_a_target_that_is_none(run: Run, api: "Api") -> None:
    result = run("check", "--config.file", api.config(static_configs=[{"targets": ["app/room", "a/b/c", "a/b/c d"]}]))
    assert result.exit_code == 2
    assert [line.split(": ")[1] for line in lines(result)] == [
        "static_configs[0].targets[0]",
        "static_configs[0].targets[2]",
    ]


def test_serve_on_a_taken_port(run: Run, api: "Api") -> None:
    """What this machine cannot serve is exit 1 and one sentence."""
    taken = api.simulation.url.removeprefix("http://")
    result = run("serve", "--config.file", api.config(), "--web.listen-address", taken)
    assert (result.exit_code, len(lines(result))) == (1, 1)
    assert f"webcast-exporter: cannot listen on {taken}: address already in use" in result.stderr


@pytest.mark.parametrize(
    ("password", "code"),
    [
        *(
            (word, 1)
            for word in (
                "hunter2-canary",
                "hun%40canary",
                "hun%23canary",
                "hun:%25canary",
                "\u5bc6\u7801canary",
                "canary%20 ",
            )
        ),
        *(
            (word, 2)
            for word in ("hun@canary", "hun/canary", "hun#canary", "hun?canary", "%zz-canary", "%ffcanary", "<canary>")
        ),
    ],
)
@pytest.mark.parametrize("command", ["serve", "runs", "check"])
def test_the_state_s_password_is_in_no_error(run: Run, api: "Api", password: str, code: int, command: str) -> None:
    """Neither ours nor the database library's, and it is part of no name that is looked up."""
    url = f"postgresql+psycopg://user:{password}@127.0.0.1:1/webcast?connect_timeout=5"
    address = ["--web.listen-address", "127.0.0.1:0"] if command == "serve" else []
    result = run(command, "--config.file", api.config(state={"url": url}), *address)
    assert result.exit_code == (0 if command == "check" and code == 1 else code)
    assert "canary" not in result.output


def test_serve_on_a_state_that_is_none(run: Run, api: "Api") -> None:
    (api.folder / "state.db").write_text("a letter, and not a database")
    result = run("serve", "--config.file", api.config(), "--web.listen-address", "127.0.0.1:0")
    assert (result.exit_code, len(lines(result))) == (1, 1)
    assert "state.db: is no SQLite database" in result.stderr


@pytest.mark.parametrize("query", ["port=canary", "host=a:canary", "host=a&host=b&port=1", "host=a:1&host=b:c&port=2"])
@pytest.mark.parametrize("ha", [False, True])
def test_a_parameter_of_the_state_s_url_that_cannot_be_used(run: Run, api: "Api", query: str, *, ha: bool) -> None:
    """The database library refuses it before any connection: one sentence, and no password in it."""
    url = f"postgresql+psycopg://user:hunter2@127.0.0.1:1/webcast?{query}"
    config = api.config(state={"url": url}, ha={"enabled": ha})
    result = run("serve", "--config.file", config, "--web.listen-address", "127.0.0.1:0")
    assert (result.exit_code, len(lines(result))) == (1, 1)
    assert lines(result)[0].startswith(
        "webcast-exporter: state postgresql+psycopg://user:<secret>@127.0.0.1:1/webcast: "
    )
    assert "hunter2" not in result.output
