"""The description of the API says all there is, and nothing else."""

from __future__ import annotations

import re
from typing import Any

from deepevent_web import routes
from deepevent_web.app import NOUNS


def test_every_route_is_described(shared_server: Any) -> None:
    """openapi.json holds each method of each path, with its role, limits and answers."""
    document = shared_server.call("GET", "/api/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    known = {
        (route.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule))
        for route in routes.table(NOUNS).values()
        if route.rule.startswith("/api") or route.rule in ("/healthz", "/readyz", "/metrics")
    }
    assert described == known
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"] and operation["responses"]
            assert "default" in operation["responses"]


def test_the_page_lists_every_route(shared_server: Any) -> None:
    """/api/docs is the same for people."""
    page = shared_server.call("GET", "/api/docs").text
    for route in routes.table(NOUNS).values():
        if route.rule.startswith("/api"):
            assert route.rule.replace("<", "&lt;").replace(">", "&gt;") in page


def test_the_api_page_in_docs_names_every_route() -> None:
    """docs/api.md mentions each path that the server answers."""
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for route in routes.table(NOUNS).values():
        if route.rule.startswith("/api/v1"):
            path = re.sub(r"<\w+>", "{", route.rule.removeprefix("/api/v1")).split("{")[0]
            assert path in text, route.rule


def test_prometheus_can_read_the_server_s_figures(shared_server: Any) -> None:
    """/metrics is plain text, one figure a line."""
    answer = shared_server.call("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line.split(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    figures = {name.partition("{")[0]: float(value) for name, value in lines}
    assert figures["deepevent_threads"] > 1
    assert figures["deepevent_stopping"] == 0
