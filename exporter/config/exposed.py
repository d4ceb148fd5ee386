"""Files of secrets that every user of the machine can read."""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.config.credentials import given
from exporter.config.discovery import HttpSdConfig
from exporter.config.http_client import HttpClient
from exporter.config.schema import Config
from exporter.config.secret_lines import secret_files
from exporter.config.web_config import WebConfig
from exporter.errors import Problem


def files_of_secrets(config: Config) -> dict[str, Path]:
    """The files that the configuration names for their secrets, by the places that name them."""
    found = {
        f"accounts[{index}].{key}_file": file
        for index, account in enumerate(config.accounts)
        for key, (_, file) in given(account).items()
    }
    found |= {key.place: file for key, file in secret_files(config).items()}
    for index, feed in enumerate(config.http_sd_configs):
        found |= {f"http_sd_configs[{index}].{key}": file for key, file in _of_client(feed)}
    return {place: file for place, file in found.items() if file}


def holds_secrets(config: Config) -> bool:
    """Whether the configuration file has a secret in itself."""
    of_accounts = any(inline for account in config.accounts for inline, _ in given(account).values())
    proxies = [account.proxy_url for account in config.accounts] + [feed.proxy_url for feed in config.http_sd_configs]
    passwords = any(proxy and "@" in proxy.get_secret_value() for proxy in proxies)
    return of_accounts or passwords or any(_inline(feed) for feed in config.http_sd_configs)


def files_of_web_config(file: Path, config: WebConfig) -> dict[str, Path]:
    """The same for a web config file: itself, if it holds any, and the key of its certificate."""
    own = {str(file): file} if config.holds_secrets else {}
    return own | {place: key for place, key in config.files.items() if place.endswith(".key_file")}


def exposed(files: Mapping[str, Path]) -> list[Problem]:
    """Those of the files that everybody can read, by their places."""
    return [Problem(place, _sentence(mode)) for place, file in files.items() if (mode := _mode(file)) & stat.S_IROTH]


def _of_client(client: HttpClient) -> Iterator[tuple[str, Path | None]]:
    if client.authorization:
        yield "authorization.credentials_file", client.authorization.credentials_file
    if client.basic_auth:
        yield "basic_auth.password_file", client.basic_auth.password_file
    yield "tls_config.key_file", client.tls_config.key_file


def _inline(feed: HttpSdConfig) -> bool:
    """A credential, a password, or the query of the URL, which may be one."""
    given_here = feed.authorization and feed.authorization.credentials, feed.basic_auth and feed.basic_auth.password
    return any(given_here) or "?" in feed.url.whole


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except (OSError, ValueError):
        return 0


def _sentence(mode: int) -> str:
    return f"its mode {stat.S_IMODE(mode):04o} lets every user of this machine read the file; chmod o-r ends that"
