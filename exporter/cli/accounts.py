"""Which configured account answers for a task that a person names."""

from exporter.config.schema import Account, Config
from exporter.discovery.merge import AccountOf
from exporter.errors import ConfigError, Problem
from exporter.model.target import TargetId


def account_for(config: Config, target: TargetId) -> tuple[str, Account]:
    """The account's place in the file (`accounts[0]`) and itself; ConfigError when none has the task's app."""
    name = AccountOf(config.accounts)(target.app_id)
    for index, account in enumerate(config.accounts):
        if account.name == name:
            return f"accounts[{index}]", account
    raise ConfigError([Problem("accounts", f"none has the app {target.app_id} in its app_ids")])
