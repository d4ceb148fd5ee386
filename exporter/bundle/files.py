"""The bundled dashboards, rules, messages and runbooks, filled in for one installation."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from textwrap import indent
from typing import Any
from zoneinfo import ZoneInfo

import yaml

IN_THE_WHEEL = Path(str(files("exporter")))
IN_THE_REPOSITORY = IN_THE_WHEEL.parent
EXPORTED = ("README.md", "alertmanager", "grafana", "prometheus", "provisioning")
LANGUAGES = ("en", "zh")
UTC_OFFSET_RULE = "record: webcast:utc_offset:seconds\n        expr: vector(0)\n"
YEARS_OF_OFFSETS = 10
"""Years of changes between summer and winter time that are written into the rules."""
RULES = ("prometheus/recording.yml", "prometheus/alerts.yml")
PROMETHEUS_RULE = """\
# The recording rules and the alerts, for the Prometheus operator. Your Prometheus may ask for a label of its own
# (its ruleSelector), such as `release: kube-prometheus-stack`: add it to metadata.labels.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: webcast-exporter
  labels:
    app.kubernetes.io/name: webcast-exporter
spec:
  groups:
"""
CONFIG_MAP = """\
# For the sidecar of the chart of Grafana, which takes in every ConfigMap that has this label.
apiVersion: v1
kind: ConfigMap
metadata:
  name: webcast-dashboard-{name}
  labels:
    app.kubernetes.io/name: webcast-exporter
    grafana_dashboard: "1"
  annotations:
    grafana_folder: WebCast
data:
  webcast-{name}.json: |
"""


@dataclass(frozen=True)
class ExportOptions:
    """Addresses, language and time zone that are filled into the bundled files.

    Without `exporter_url` links lead to the address that Prometheus scrapes. `runbook_url` is the address of your own
    copy of the runbooks, to which a slash and the alert's name are added.
    """

    language: str = "en"
    exporter_url: str = ""
    runbook_url: str = ""
    timezone: str = "UTC"


def bundle(options: ExportOptions | None = None) -> dict[str, str]:
    """Every file to be exported, by its path with slashes, sorted; empty when this installation has none."""
    options = options or ExportOptions()
    table = translations(options.language)
    filled = {path: _filled(path, text, options, table) for path, text in _packaged("dashboards").items()}
    exported = {path: text for path, text in filled.items() if path.split("/")[0] in EXPORTED}
    return dict(sorted({**exported, **_manifests(exported)}.items())) if exported else {}


def runbooks() -> dict[str, str]:
    """The runbooks as Markdown, English and Chinese in one page, by the alert's name; `README` is their index."""
    packaged = _packaged("runbooks") or _packaged("docs/runbooks")
    return {path.removesuffix(".md"): text for path, text in sorted(packaged.items()) if path.endswith(".md")}


def translations(language: str) -> Mapping[str, str]:
    """English texts to those of the language; empty for English."""
    text = _packaged("dashboards").get(f"languages/{language}.yml")
    return _parse_table(text) if text else {}


@cache
def _parse_table(text: str) -> Mapping[str, str]:
    """Parse a table once for each text: it takes a second."""
    table: Mapping[str, str] = yaml.safe_load(text)
    return table


def _manifests(files: Mapping[str, str]) -> dict[str, str]:
    """Rules and dashboards as objects of a cluster; what they hold is the files' own text, comments and all."""
    rules = "".join(indent(files[path].partition("\ngroups:\n")[2], "  ") for path in RULES)
    found = {"kubernetes/prometheus-rule.yaml": PROMETHEUS_RULE + rules}
    for path, text in files.items():
        if path.startswith("grafana/"):
            name = Path(path).stem
            found[f"kubernetes/dashboard-{name}.yaml"] = CONFIG_MAP.format(name=name) + indent(text, "    ")
    return found


def _packaged(folder: str) -> dict[str, str]:
    """The text files of a folder inside the package, or beside it in a checkout."""
    root = IN_THE_WHEEL / folder if (IN_THE_WHEEL / folder).is_dir() else IN_THE_REPOSITORY / folder
    suffixes = {".json", ".md", ".tmpl", ".yml"}
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in root.rglob("*")
        if path.is_file() and path.suffix in suffixes
    }


def _filled(path: str, text: str, options: ExportOptions, table: Mapping[str, str]) -> str:
    if path.startswith("grafana/"):
        text = translate_dashboard(text, table) if table else text
        document = json.loads(text) | ({} if options.timezone == "UTC" else {"timezone": options.timezone})
        return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if path.startswith("prometheus/"):
        return _filled_rules(translate_rules(text, table), options, table.get(options.timezone, options.timezone))
    return translate_template(text, table) if path.endswith(".tmpl") else text


def _filled_rules(text: str, options: ExportOptions, zone: str) -> str:
    exporter = options.exporter_url.rstrip("/")
    runbook = options.runbook_url.rstrip("/") or (f"{exporter}/runbooks" if exporter else "")

    def with_runbook(url: str) -> str:
        return f"{runbook}/{url.rpartition('/')[2]}" if runbook else url

    def with_exporter(url: str) -> str:
        return f"{exporter}/tasks/{url.partition('/tasks/')[2]}" if exporter else url

    text = replace_annotations(text, ("runbook_url",), with_runbook)
    text = replace_annotations(text, ("task_url",), with_exporter)
    text = replace_annotations(text, ("since",), lambda since: since.replace(" UTC{{ end }}", f" {zone}{{{{ end }}}}"))
    offset = offset_expression(options.timezone, datetime.now(UTC))
    return text.replace(UTC_OFFSET_RULE, UTC_OFFSET_RULE.replace("vector(0)", offset))


def offset_expression(zone: str, now: datetime) -> str:
    """PromQL for the seconds between the zone's time and UTC, with its changes in the years to come."""
    place = ZoneInfo(zone)
    day, terms = now, [str(_offset(now, place))]
    for _ in range(366 * YEARS_OF_OFFSETS):
        following = day + timedelta(days=1)
        if change := _offset(following, place) - _offset(day, place):
            moment = int(_first_moment_of(following, day, place).timestamp())
            terms.append(f"{'+' if change > 0 else '-'} {abs(change)} * (time() >= bool {moment})")
        day = following
    return f"vector({' '.join(terms)})"


def _offset(moment: datetime, zone: ZoneInfo) -> int:
    return int((moment.astimezone(zone).utcoffset() or timedelta()).total_seconds())


def _first_moment_of(high: datetime, low: datetime, zone: ZoneInfo) -> datetime:
    """The first full minute with the offset of `high`, between it and a moment with another offset."""
    offset = _offset(high, zone)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if _offset(middle, zone) == offset else (middle, high)
    return high.replace(second=0, microsecond=0)


# Texts in another language. One that is not in the table stays English; a test finds those.

Json = dict[str, Any]
Replace = Callable[[str], str]

ANNOTATION = re.compile(r"^( +)(\w+): '((?:[^']|'')*)'$", re.MULTILINE)
"""An annotation of alerts.yml: each is one line in single quotes."""
TRANSLATED_ANNOTATIONS = ("problem", "summary", "description")
ACTION = re.compile(r"(\{\{.*?\}\})", re.DOTALL)
OVERRIDDEN_TEXTS = ("displayName", "noValue")


def translate_dashboard(text: str, table: Mapping[str, str]) -> str:
    """A dashboard with its titles, descriptions, legends, columns and value texts replaced."""
    document = json.loads(text)
    _replace_in_dashboard(document, lambda english: table.get(english, english))
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def translate_rules(text: str, table: Mapping[str, str]) -> str:
    """A file of rules with the annotations that a person reads replaced; comments stay English."""
    return replace_annotations(text, TRANSLATED_ANNOTATIONS, lambda english: table.get(english, english))


def replace_annotations(text: str, keys: tuple[str, ...], replace: Replace) -> str:
    """A file of rules in which `replace` has changed the annotations of these names."""

    def replaced(found: re.Match[str]) -> str:
        indent, key, quoted = found.groups()
        new = replace(_unquoted(quoted)) if key in keys else _unquoted(quoted)
        return f"{indent}{key}: '{new.replace(chr(39), chr(39) * 2)}'"

    return ANNOTATION.sub(replaced, text)


def translate_template(text: str, table: Mapping[str, str]) -> str:
    """A Go template with what stands between its actions replaced; space around it stays."""

    def replaced(part: str) -> str:
        words = part.strip()
        return part.replace(words, table.get(words, words)) if words else part

    return "".join(part if part.startswith("{{") else replaced(part) for part in ACTION.split(text))


def _unquoted(text: str) -> str:
    return text.replace("''", "'")


def _replace_in_dashboard(document: Json, replace: Replace) -> None:
    _replace_keys(document, ("title", "description"), replace)
    for link in document.get("links", ()):
        _replace_keys(link, ("title", "tooltip"), replace)
    for variable in document["templating"]["list"]:
        _replace_keys(variable, ("label", "description"), replace)
    for annotation in document["annotations"]["list"]:
        if not annotation.get("builtIn"):
            _replace_keys(annotation, ("name", "titleFormat", "textFormat"), replace)
    for panel in _panels(document):
        _replace_in_panel(panel, replace)


def _panels(document: Json) -> Iterator[Json]:
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", ())


def _replace_in_panel(panel: Json, replace: Replace) -> None:
    drawn = _drawn_names(panel)
    _replace_keys(panel, ("title", "description"), replace)
    _replace_keys(panel.get("options", {}), ("content",), replace)
    for target in panel.get("targets", ()):
        _replace_keys(target, ("legendFormat",), replace)
    for transformation in panel.get("transformations", ()):
        renamed = transformation.get("options", {}).get("renameByName", {})
        _replace_keys(renamed, tuple(renamed), replace)
    for sort in panel.get("options", {}).get("sortBy", ()):
        _replace_keys(sort, ("displayName",), replace)
    config = panel.get("fieldConfig", {})
    defaults = config.get("defaults", {})
    _replace_keys(defaults, OVERRIDDEN_TEXTS, replace)
    _replace_mappings(defaults.get("mappings", ()), replace)
    _replace_links(defaults.get("links", ()), replace)
    for override in config.get("overrides", ()):
        if override["matcher"]["options"] in drawn:
            _replace_keys(override["matcher"], ("options",), replace)
        for item in override["properties"]:
            if item["id"] in OVERRIDDEN_TEXTS:
                _replace_keys(item, ("value",), replace)
            elif item["id"] == "mappings":
                _replace_mappings(item["value"], replace)
            elif item["id"] == "links":
                _replace_links(item["value"], replace)


def _drawn_names(panel: Json) -> set[str]:
    """Names that the panel itself gives to lines and columns: an override finds them by these, others by a label."""
    legends = {target.get("legendFormat", "") for target in panel.get("targets", ())}
    columns = [each.get("options", {}).get("renameByName", {}) for each in panel.get("transformations", ())]
    return legends | {title for renamed in columns for title in renamed.values()}


def _replace_mappings(mappings: Any, replace: Replace) -> None:
    for mapping in mappings:
        options = mapping["options"]
        for result in options.values() if mapping["type"] == "value" else [options.get("result", {})]:
            _replace_keys(result, ("text",), replace)


def _replace_links(links: Any, replace: Replace) -> None:
    for link in links:
        _replace_keys(link, ("title",), replace)


def _replace_keys(owner: Json, keys: tuple[str, ...], replace: Replace) -> None:
    for key in keys:
        if isinstance(owner.get(key), str):
            owner[key] = replace(owner[key])
