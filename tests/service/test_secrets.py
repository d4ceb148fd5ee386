import logging
from functools import partial

import pytest

from exporter.config.schema import Account
from exporter.errors import ConfigError, NotFound
from exporter.service.accounts import endpoint, in_flight, read_once
from exporter.service.exporter import Exporter
from exporter.simulator.faults import FaultMode
from tests.support.small_world import World, text
from tests.support.waiting import wait_until

CANARIES = ("canary-in-the-secret", "canary-in-the-token", "canary-in-the-proxy", "canary-in-the-source")


def differs(exporter: Exporter, before: str) -> bool:
    return text(exporter) != before


def leaks(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


@pytest.mark.parametrize(
    "account",
    [
        {"secret_access_key": "canary-in-the-secret", "session_token": "canary-in-the-token"},
        {"proxy_url": "http://user:canary-in-the-proxy@127.0.0.1:1"},
        {"session_token_file": "no-such-file", "secret_access_key": "canary-in-the-secret"},
        {},
    ],
)
def test_no_secret_is_told(
    world: World,
    caplog: pytest.LogCaptureFixture,
    account: dict[str, str],
) -> None:
    """Neither a log line of any level, nor a scrape, an error or a repr holds a secret or SourceURL's query."""
    caplog.set_level(logging.DEBUG)
    world.write(static_configs=world.lists(world.task("live"), world.task("ended", ended=True)))
    exporter = world.start()
    wait_until(lambda: "webcast_task_read_success{" in text(exporter), "a read")
    world.write(accounts=[world.account(**account)])
    logs = ""
    try:
        exporter.reload()
    except ConfigError as error:
        logs = str(error)
    for mode in (FaultMode.SERVER_ERROR, FaultMode.THROTTLE, FaultMode.NONE):
        world.simulation.faults.mode = mode
        world.shift.seconds += 60
        before = text(exporter)
        wait_until(partial(differs, exporter, before), "another scrape")
    pollers = exporter._components.pollers
    reprs = [
        repr(part)
        for name, each in pollers._connected.items()
        for part in (each, each.account.client, pollers.by_account[name], exporter.config, exporter)
    ]
    assert leaks(logs + caplog.text + text(exporter) + "".join(reprs)) == []
    world.stop(exporter)
    stored = b"".join(path.read_bytes() for path in world.folder.glob("state.db*"))
    assert leaks(stored.decode(errors="replace")) == []


def test_read_once(world: World) -> None:
    """One signed call, outside of any polling; what the API knows not is a result too."""
    config = world.load().accounts[0]
    task = world.task("live")
    result = read_once(config, task, {})
    assert result.task is not None
    assert result.task.source_host == "classroom.example.com"
    assert isinstance(read_once(config, task._replace(task_id="nothing"), {}).error, NotFound)


def test_read_once_needs_credentials() -> None:
    """Without any, the problem is reported at the place of the account."""
    with pytest.raises(ConfigError, match=r"accounts\[3\]: has no credentials") as caught:
        read_once(Account(), ("app", "room", "task"), {}, "accounts[3]")  # type: ignore[arg-type]  # it is not reached
    for way in ("access_key_id and secret_access_key", "access_key_id_file", "$VOLC_ACCESSKEY"):
        assert way in str(caught.value)


@pytest.mark.parametrize(("max_qps", "timeout", "calls"), [(48, 5.0, 241), (0.1, 1.0, 2), (60, 60.0, 300)])
def test_calls_in_flight(max_qps: float, timeout: float, calls: int) -> None:
    """As many as the rate needs when each call takes its whole timeout, with a bound."""
    assert in_flight(Account(max_qps=max_qps, timeout=f"{timeout:g}s")) == calls  # type: ignore[arg-type]  # as in a file


def test_endpoint_of_an_account() -> None:
    """Proxy and authority arrive at the endpoint, and None where there is none."""
    bare = endpoint(Account())
    assert (bare.proxy_url, bare.ca_file, bare.timeout) == (None, None, 5.0)
    full = endpoint(
        Account.model_validate({"proxy_url": "http://u:p@proxy.example:1", "tls_config": {"ca_file": "ca.pem"}})
    )
    assert (full.proxy_url, full.ca_file) == ("http://u:p@proxy.example:1", "ca.pem")
