"""`GET /metrics`: the exposition, in the format and the encoding that the scraper asked for."""

from starlette.requests import Request
from starlette.responses import Response

from exporter.metrics.negotiate import accepts_gzip, choose_format
from exporter.web.gzip import gzipped
from exporter.web.house import House
from exporter.web.pieces import InPieces, batches


def metrics(request: Request) -> Response:
    """Answer a scrape. A plain function, so that it runs on a thread and never holds up the event loop."""
    house: House = request.app.state.house
    query = request.query_params
    chosen = choose_format(request.headers.get("accept", ""))
    pieces = house.exposition.pieces(
        chosen, frozenset(query.getlist("name[]")), per_task="fleet" not in query.getlist("collect[]")
    )
    headers = {"Content-Type": chosen.value, "Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        return Response(gzipped(batches(pieces)), headers={**headers, "Content-Encoding": "gzip"})
    return InPieces(pieces, headers)
