"""Every secret that an exporter can be given, each with a text of its own, and the files that hold them."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from exporter.simulator.server import Certificates
from tests.faults import places
from tests.faults.cases import CASES
from tests.faults.places import Place, begin, open_case, open_place
from tests.faults.proxy import Proxy
from tests.real.conftest import free_port

PUSH_TOKEN = "canary-in-the-push-token"
CALLBACK_SECRET = "canary-in-the-callback-secret"
EVENT_DATA = "canary-in-the-event-data"
FEED_QUERY = "canary-in-the-query-of-a-feed"
FEED_PASSWORD = "canary-in-the-password-of-a-feed"
FEED_TOKEN = "canary-in-the-token-of-a-feed"
PASSWORD = "canary-in-the-password"
GUESSED = "canary-in-a-guess"
"""A password or a token that somebody shows in vain: it may be good elsewhere."""
MISPLACED = "canary-in-the-wrong-place"
"""A secret at a key where a configuration is bad."""
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()

WORDS = (
    *places.CANARIES,
    *(PUSH_TOKEN, CALLBACK_SECRET, EVENT_DATA, FEED_QUERY, FEED_PASSWORD, FEED_TOKEN, PASSWORD, GUESSED, MISPLACED),
    HASH,
)
FAULTS = ("proxy_407", "html", "cut_json", "throttle", "invalid_access_key", "wrong_types", "odd_fields", "http_500")
"""Of all that tests/faults looks at, one of each kind."""
REASONS = frozenset({"connect", "decode", "throttled", "auth", "schema", "server"})
"""Theirs."""
ALICE = ("alice", PASSWORD)


def key_lines(certificates: Certificates) -> tuple[str, ...]:
    """The inner lines of the private key."""
    return tuple(certificates.trusted.read_text().partition("-----END PRIVATE")[0].splitlines()[1:])


def sections(folder: Path, nowhere: str) -> dict[str, Any]:
    """The sections with secrets beside `accounts`; both feeds are `nowhere`. Their files are written."""
    for name, secret in {"tokens": PUSH_TOKEN, "secrets": CALLBACK_SECRET, "feed": FEED_TOKEN}.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(f"{secret}\n")
    feed = {"url": f"{nowhere}/list?token={FEED_QUERY}", "refresh_interval": "1s"}
    return {
        "push": {"token_file": "tokens"},
        "callbacks": {"secret_file": "secrets"},
        "http_sd_configs": [
            feed | {"basic_auth": {"username": "reader", "password": FEED_PASSWORD}},
            feed | {"authorization": {"credentials_file": "feed"}},
        ],
    }


def open_places(stack: ExitStack, certificates: Certificates) -> list[Place]:
    """An account that is well, behind a proxy that wants a password, and one for each fault, which begins at once."""
    well = open_place(stack, "well", certificates)
    well.proxy = Proxy()
    stack.callback(well.proxy.close)
    well.run_tasks("app-well", 1)
    found = [well]
    for case in CASES:
        if case.name in FAULTS:
            found.append(open_case(stack, case, certificates, 1))
            begin(found[-1], case)
    return found


def config_of(places: list[Place], folder: Path) -> dict[str, Any]:
    """The whole configuration, all tasks listed."""
    return {
        "accounts": [place.account() for place in places],
        "static_configs": [{"targets": [str(task) for place in places for task in place.tasks]}],
        "polling": {"interval": "1s", "fast_interval": "1s", "max_backoff": "2s"},
        **sections(folder, f"http://127.0.0.1:{free_port()}"),
    }


def web_config(certificates: Certificates) -> str:
    """The web config file, its key and hash in it."""
    pem = certificates.trusted.read_text()
    return yaml.safe_dump({"tls_server_config": {"cert": pem, "key": pem}, "basic_auth_users": {"alice": HASH}})


def bad(config: dict[str, Any]) -> dict[str, Any]:
    """The same with secrets where they do not belong, each a problem of its own."""
    account = config["accounts"][0] | {"secret_access_key": [MISPLACED], "max_qps": MISPLACED, "proxy_url": MISPLACED}
    account[f"session_token:{MISPLACED}"] = None
    feed = {"url": f"ftp://{MISPLACED}/", "refresh_interval": MISPLACED, "authorization": MISPLACED}
    target = {
        "targets": [f"https://a:{MISPLACED}@b.example/", f"a/b/c?token={MISPLACED}"],
        "labels": {"a-b": MISPLACED},
    }
    accounts = [account, *config["accounts"][1:]]
    return config | {"accounts": accounts, "http_sd_configs": [feed], "static_configs": [target], "push": MISPLACED}
