"""Liveness, readiness and metrics."""

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST

from app import metrics


async def livez(request: Request) -> dict[str, str]:
    """Whether the process runs, and which code: a failing database is no reason to restart it."""
    return {"status": "alive", "revision": request.app.state.revision}


async def readyz(request: Request) -> dict[str, str]:
    """Whether the database answers and its schema is up to date, however busy it is."""
    await request.app.state.database.check()
    return {"status": "ready"}


async def read_metrics(request: Request) -> Response:
    """Prometheus' text format; app/metrics.py says what a scrape shows with several workers."""
    request.app.state.database.count_connections()
    request.app.state.replica.count_connections()
    return Response(await metrics.render(), media_type=CONTENT_TYPE_LATEST)


async def lead_to_docs(request: Request) -> RedirectResponse:
    """Where people begin: the documentation of the API."""
    return RedirectResponse(request.scope.get("root_path", "") + request.app.docs_url)
