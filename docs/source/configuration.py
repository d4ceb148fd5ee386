"""docs/configuration.md: the whole file at a glance, then each section key by key."""

from collections.abc import Iterator

from docs.source.models import rows
from docs.source.words import SECTIONS, Section

INTRODUCTION = """\
# Configuration

Made by `make docs` from the models in exporter/config and the words in docs/source.

One YAML file, here with every section. Unknown keys are errors, and every problem is told at once, each with its path;
`webcast-exporter check --config.file FILE` does that, and warns of files of secrets that everybody on the machine can
read. Durations are written as Prometheus writes them: `30s`, `1h30m`. Relative paths start from the folder of the file,
`state.url` from the working directory.

```yaml
accounts:
  - name: school
    access_key_id_file: keys/ak
    secret_access_key_file: keys/sk
    app_ids: [661e0000000000000000543c]
    max_qps: 48
static_configs:
  - targets: [661e0000000000000000543c/Room1/Task1]
    labels: {team: edu, __expected_start__: "2026-11-22T08:00:00Z", __expected_end__: "2026-11-22T09:30:00Z"}
file_sd_configs:
  - files: [targets/*.yml, targets/*.json]
http_sd_configs:
  - url: https://backend.example/webcast-targets
    authorization: {credentials_file: keys/feed-token}
push:
  token_file: keys/push-tokens
callbacks:
  secret_file: keys/callback-secrets
polling:
  interval: 30s
lifecycle:
  linger: 15m
metrics:
  info_labels: [team]
problems:
  overrun_grace: 15m
state:
  url: sqlite:///webcast-exporter.db
ha:
  enabled: false
```

TLS, client certificates, passwords and headers of the exporter's own port are not here: they are in
[the web config file](web-config.md).
"""
LISTED = "A list; the keys are those of one element."
HEADS = ("Key", "Value", "Default", "Meaning", "Example")


def reference() -> str:
    """The whole document."""
    return "\n".join([INTRODUCTION, *(line for section in SECTIONS for line in _section(section))])


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.name}\n"
    yield f"{section.intro} {LISTED}\n" if section.is_list else f"{section.intro}\n"
    yield f"| {' | '.join(HEADS)} |"
    yield f"|{' --- |' * len(HEADS)}"
    for row in rows(section.model):
        meaning, example = section.keys[row.key]
        yield f"| `{row.key}` | {row.value} | {row.default} | {meaning} | `{example}` |"
    yield ""
