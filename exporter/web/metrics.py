"""`GET /metrics`: the exposition, in the format and the encoding that the scraper asked for."""

from starlette.requests import Request
from starlette.responses import Response

from exporter.exposition.negotiate import accepts_gzip, choose_format
from exporter.web.gzip import gzipped
from exporter.web.house import House


def metrics(request: Request) -> Response:
    """Answer a scrape. A plain function, so that it runs on a thread and never holds up the event loop."""
    house: House = request.app.state.house
    query = request.query_params
    chosen = choose_format(request.headers.get("accept", ""))
    body = house.exposition.scrape(
        chosen, frozenset(query.getlist("name[]")), per_task="fleet" not in query.getlist("collect[]")
    )
    headers = {"Content-Type": chosen.value, "Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        body = gzipped(body)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers)
