"""The description of the API says all there is, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deepevent_web import openapi, routes, shapes
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
            for status, said in operation["responses"].items():
                assert said.get("content") or status in ("204", "304", "101"), (operation["summary"], status)


def test_every_schema_is_closed_and_used(shared_server: Any) -> None:
    """An object of the API has the fields that its schema names and no others; no schema lies about."""
    document = shared_server.call("GET", "/api/v1/openapi.json").json()
    text = json.dumps(document)
    for name, schema in document["components"]["schemas"].items():
        assert f'"#/components/schemas/{name}"' in text, name
        assert name == "Problem" or schema["additionalProperties"] is False, name


def test_the_api_page_in_docs_has_the_fields_of_the_description() -> None:
    """`**Run** `{…}`` in docs/api.md names exactly the fields of the schema Run, and so on."""
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    schemas = openapi.document(routes.table(NOUNS).values())["components"]["schemas"]
    told = dict(re.findall(r"^\*\*(\w+)\*\* `{(.*?)}`", text, re.MULTILINE))
    assert {"Run", "Metric", "Media", "Job", "Sweep", "Trial", "Agent", "View"} <= set(told)
    for name, fields in told.items():
        flat = re.sub(r"{.*?}|\[.*?\]", "", fields)
        names = {re.match(r"\w+", field.strip())[0] for field in flat.split(",") if ":" in field or field}  # type: ignore[index]
        if name != "Dimension":  # one of two forms
            assert names == set(schemas[name]["properties"]), name


def test_a_type_without_a_schema_is_an_error() -> None:
    """Whoever describes an answer with a type that no schema can say hears it at once."""
    with pytest.raises(TypeError, match="no JSON schema"):
        shapes.schema({"when": bytes}, {})


def test_the_page_lists_every_route(shared_server: Any) -> None:
    """/api/docs is the same for people."""
    page = shared_server.call("GET", "/api/docs").text
    for route in routes.table(NOUNS).values():
        if route.rule.startswith("/api"):
            assert route.rule.replace("<", "&lt;").replace(">", "&gt;") in page


def test_the_api_page_in_docs_names_every_route() -> None:
    """docs/api.md mentions each path that the server answers."""
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
