"""The table of answers in docs/vendor.md is what the exporter does."""

import io
from pathlib import Path

import pytest
from requests import Response

from exporter.errors import AppRefused, BadSchema, CredentialsRefused, ReadError
from exporter.volcengine.replies import Answer, parse_answer, receive

PAGE = (Path(__file__).parents[2] / "docs" / "vendor.md").read_text()
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition("<!-- answers -->")[2].partition("<!-- end")[0].splitlines()
    if line.startswith("|")
][2:]


def answer_of(status: str, body: str) -> Answer:
    """The answer as it comes from the network."""
    response = Response()
    response.status_code, response.raw = int(status), io.BytesIO(body.encode())
    return receive(response, lambda: False)


def result_of(answer: Answer) -> tuple[str, list[str]]:
    """What an answer is read as, in the words of the page, and its unexpected fields."""
    kinds: dict[type[ReadError], str] = {AppRefused: " app", CredentialsRefused: " account"}
    try:
        reply = parse_answer(answer, 0.0)
    except ReadError as error:
        unexpected = error.unexpected if isinstance(error, BadSchema) else ()
        return error.failure + kinds.get(type(error), ""), sorted(unexpected)
    return reply.task.status, sorted(reply.unexpected)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[1][:60]}" for row in ROWS])
def test_each_row_of_the_page_is_true(row: list[str]) -> None:
    """Status, body, what it is read as, and which fields are unexpected."""
    status, body, expected, unexpected = row
    fields = [] if unexpected in ("", "ok") else unexpected.split(", ")
    assert result_of(answer_of(status, body)) == (expected, sorted(fields))


def test_the_page_names_a_source_for_each_assumption() -> None:
    """Each row of the other tables has three cells, none of them empty."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count(" | ") == 2]
    assert len(rows) > 30
    for row in rows:
        assert all(cell.strip() for cell in row.strip("|").split(" | ")), row
