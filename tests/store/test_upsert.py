"""The statements that name a key, in the words of both engines; PostgreSQL's are compiled, without a server."""

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from exporter.store.schema import HEARD, METADATA, TOTALS
from exporter.store.upsert import keeping, replacing

DIALECTS = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_row_takes_the_place_of_the_one_with_its_key(name: str) -> None:
    """Every column that is no key is replaced; without a conflict the row is added."""
    text = str(replacing(TOTALS, name).compile(dialect=DIALECTS[name]()))
    assert "ON CONFLICT (total, app_id, label, bucket) DO UPDATE SET value = excluded.value" in text


@pytest.mark.parametrize("name", DIALECTS)
def test_a_row_whose_key_is_there_changes_nothing(name: str) -> None:
    """What was written first stays."""
    assert str(keeping(HEARD, name).compile(dialect=DIALECTS[name]())).rstrip().endswith("DO NOTHING")


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=lambda table: table.name)
def test_every_table_can_be_made(name: str, table: object) -> None:
    """On either engine, with its indexes."""
    dialect = DIALECTS[name]()
    assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))  # type: ignore[arg-type]  # a table
    for index in table.indexes:  # type: ignore[attr-defined]  # a table
        assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=dialect))


def test_an_engine_that_is_not_known_is_told() -> None:
    """There is no third one."""
    with pytest.raises(KeyError):
        replacing(TOTALS, "oracle")
