"""`/-/healthy`, `/-/ready` and `/-/reload`, as Prometheus's own servers have them."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from exporter.errors import ConfigError
from exporter.web.house import House

RELOADING = ("POST", "PUT")


def healthy(request: Request) -> Response:
    """200 while the dispatcher moves."""
    house: House = request.app.state.house
    if house.alive:
        return PlainTextResponse("webcast-exporter is healthy.\n")
    return PlainTextResponse("The dispatcher has not moved lately: no task is read.\n", status_code=503)


def ready(request: Request) -> Response:
    """200 once it can serve; never turns back for the vendor's faults."""
    house: House = request.app.state.house
    if not house.not_ready:
        return PlainTextResponse("webcast-exporter is ready.\n")
    return PlainTextResponse(f"{house.not_ready}\n", status_code=503)


def reload(request: Request) -> Response:
    """Reload the configuration; 500 with all its problems when it is bad. Looking (GET, HEAD) reloads nothing."""
    if request.method not in RELOADING:
        sentence = "Only POST or PUT requests reload: curl -X POST .../-/reload\n"
        return PlainTextResponse(sentence, status_code=405, headers={"Allow": ", ".join(RELOADING)})
    house: House = request.app.state.house
    try:
        house.reload()
    except ConfigError as error:
        return PlainTextResponse(f"The configuration was not reloaded:\n{error}\n", status_code=500)
    return PlainTextResponse("The configuration was reloaded.\n")
