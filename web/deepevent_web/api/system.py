"""The server about itself: is it alive, is it ready, what does it offer."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, current_app, request

from deepevent_web import figures, openapi
from deepevent_web.problems import Problem
from deepevent_web.routes import Answer, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import services

noun = Noun("system")
probes = Noun("probes", prefix="")


@probes.route(
    "GET",
    "/healthz",
    role="public",
    summary="Whether the process answers",
    answers={200: Answer("well", {"status": Literal["ok"]})},
)
def healthz() -> Response:
    """Alive."""
    return answer({"status": "ok"})


@probes.route(
    "GET",
    "/readyz",
    role="public",
    summary="Whether events are taken",
    answers={
        200: Answer("well", {"status": Literal["ok"]}),
        503: "the server is stopping, or its store does not answer",
    },
)
def readyz() -> Response:
    """Ready: not stopping, and the store answers."""
    here = services()
    if here.stopping.is_set():
        raise Problem(503, "the server is stopping", headers={"Retry-After": "2"})
    here.db.revision()
    return answer({"status": "ok"})


@probes.route(
    "GET",
    "/metrics",
    role="viewer",
    summary="The server's own figures",
    answers={200: Answer("Prometheus text", content_type="text/plain")},
)
def metrics() -> Response:
    """Figures for Prometheus."""
    extensions = current_app.extensions
    text = figures.text(services(), extensions["deepevent.tail"], extensions["deepevent.requests"])
    return Response(text, 200, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


@noun.route(
    "GET",
    "/openapi.json",
    role="any",
    summary="This description",
    answers={200: Answer("OpenAPI 3.1", dict[str, Any])},
)
def openapi_json() -> Response:
    """The API's description."""
    return answer(openapi.document(current_app.extensions["deepevent.routes"].values(), request.script_root))


docs = Noun("docs", prefix="")


@docs.route(
    "GET",
    "/api/docs",
    role="any",
    summary="This description as a page",
    answers={200: Answer("a page", content_type="text/html")},
)
def docs_page() -> Response:
    """The API's description as a page."""
    text = openapi.page(current_app.extensions["deepevent.routes"].values(), request.script_root)
    return Response(text, 200, {"Content-Type": "text/html; charset=utf-8"})
