"""`check --web.config.file`: what `serve` would say of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import Result

from tests.support.certificates import HASH

if TYPE_CHECKING:
    from exporter.simulator.server import Certificates
    from tests.cli.conftest import Api

Run = Callable[..., Result]


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    """The name of a web config file."""
    file = folder / "web.yml"
    file.touch(mode)
    file.chmod(mode)
    file.write_text(text)
    return str(file)


def test_a_good_file(run: Run, api: "Api", certificates: "Certificates") -> None:
    """Both are told to be good; the certificate has been loaded."""
    pair = f"cert_file: {certificates.trusted}, key_file: {certificates.trusted}"
    config = api.config()
    web = written(api.folder, f"tls_server_config: {{{pair}}}\nbasic_auth_users: {{alice: {HASH}}}")
    result = run("check", "--config.file", config, "--web.config.file", web)
    assert (result.exit_code, result.stdout) == (0, f"{config}: good, 1 account, 0 targets\n{web}: good\n")


def test_a_bad_file(run: Run, api: "Api", certificates: "Certificates") -> None:
    """Exit 2 with all that is wrong, a certificate that is not the key's too; nothing is told to be good."""
    pair = f"cert_file: {certificates.trusted}, key_file: {certificates.stranger}"
    web = written(api.folder, f"tls_server_config: {{{pair}}}")
    result = run("check", "--config.file", api.config(), "--web.config.file", web)
    told = f"webcast-exporter: {web}: tls_server_config.key_file: the file is not the key of the certificate\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", told)


def test_both_bad(run: Run, api: "Api") -> None:
    """The problems of both files at once."""
    web = written(api.folder, "basic_auth_users: {alice: secret}")
    result = run("check", "--config.file", api.config(pollng={}), "--web.config.file", web)
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["pollng", web]


def test_a_file_that_everybody_can_read(run: Run, api: "Api") -> None:
    """It is warned of when there are hashes in it."""
    web = written(api.folder, f"basic_auth_users: {{alice: {HASH}}}", 0o644)
    result = run("check", "--config.file", api.config(), "--web.config.file", web)
    assert result.exit_code == 0
    assert f"warning: {web}: its mode 0644 lets every user of this machine read the file" in result.stdout
