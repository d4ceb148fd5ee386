"""Texts of the bundled files in another language.

`dashboards/languages/NAME.yml` maps each English text to its translation. A text that is not in the table stays
English; a test finds those.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

Json = dict[str, Any]
Replace = Callable[[str], str]

ANNOTATION = re.compile(r"^( +)(\w+): '((?:[^']|'')*)'$", re.MULTILINE)
"""An annotation of alerts.yml: each is one line in single quotes."""
TRANSLATED_ANNOTATIONS = ("problem", "summary", "description")
ACTION = re.compile(r"(\{\{.*?\}\})", re.DOTALL)
OVERRIDDEN_TEXTS = ("displayName", "noValue")


def load_table(text: str) -> Mapping[str, str]:
    """The table of a file of translations."""
    table: Mapping[str, str] = yaml.safe_load(text)
    return table


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
