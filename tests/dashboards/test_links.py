import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.dashboards.documents import Json, columns, properties, variables

VARIABLE = re.compile(r"\$\{(\w+):queryparam\}")
FIELD = re.compile(r"\$\{__data\.fields\.(\w+)\}")
TASK = {"app_id", "room_id", "task_id"}


def links(panel: Json) -> Iterator[Json]:
    for found in properties(panel, "links"):
        yield from found


def target_of(url: str, everyone: dict[str, Json]) -> Json:
    """The dashboard that a link leads to, by its uid."""
    _, d, uid, slug = urlsplit(url).path.split("/")
    assert (d, uid) == ("d", slug)
    return everyone[uid]


def given(url: str) -> set[str]:
    """The variables that a link sets."""
    query = urlsplit(url).query
    return {name.removeprefix("var-") for name, _ in parse_qsl(query) if name.startswith("var-")} | {
        *VARIABLE.findall(query)
    }


def test_data_links_set_variables_that_their_target_has(panels: list[Json], everyone: dict[str, Json]) -> None:
    """A link leads to a dashboard that is there, keeps the time range, and sets nothing that it does not know."""
    found = [link for panel in panels for link in links(panel)]
    for link in found:
        assert given(link["url"]) <= variables(target_of(link["url"], everyone)).keys(), link["url"]
        assert "${__url_time_range}" in link["url"]
        assert link["title"]


def test_data_links_take_over_variables_that_are_here(dashboard: Json, panels: list[Json]) -> None:
    """What a link takes from this dashboard is one of its variables."""
    taken = {name for panel in panels for link in links(panel) for name in VARIABLE.findall(link["url"])}
    assert set() == taken - variables(dashboard).keys()


def test_every_row_of_a_task_leads_to_that_task(panels: list[Json], everyone: dict[str, Json]) -> None:
    """A table of tasks links each of them to its own dashboard, by ids that the row has."""
    tables = [panel for panel in panels if panel["type"] == "table" and columns(panel).keys() >= TASK]
    for panel in tables:
        found = list(links(panel))
        assert found, panel["title"]
        for link in found:
            assert target_of(link["url"], everyone)["uid"] == "webcast-task"
            assert set(FIELD.findall(link["url"])) == TASK
            assert given(link["url"]) >= TASK


def test_fleet_has_tables_of_tasks(everyone: dict[str, Json]) -> None:
    """The rule above cannot pass by finding no table."""
    tables = [panel for panel in everyone["webcast-fleet"]["panels"] if panel["type"] == "table"]
    assert len([panel for panel in tables if columns(panel).keys() >= TASK]) == 3


def test_the_dashboards_lead_to_one_another(everyone: dict[str, Json]) -> None:
    """Each has a link to both others, with the time range and the variables kept."""
    for uid, document in everyone.items():
        assert {target_of(link["url"], everyone)["uid"] for link in document["links"]} == everyone.keys() - {uid}
        kept: list[Any] = [(link["keepTime"], link["includeVars"], link["type"]) for link in document["links"]]
        assert {(True, True, "link")} == set(kept)
