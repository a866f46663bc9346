"""OpenAPI 3.1 out of the table of routes, and a plain page of it. The table is the only source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from markupsafe import escape

from deepevent_web.problems import CONTENT_TYPE
from deepevent_web.routes import Answer, Route
from deepevent_web.shapes import REFERENCE, schema

ERROR_FROM = 400
PROBLEM = {CONTENT_TYPE: {"schema": {"$ref": f"{REFERENCE}Problem"}}}
_PARAMETER = re.compile(r"<(?:[a-z]+:)?([a-z0-9_]+)>")


def document(routes: Iterable[Route], base_path: str = "") -> dict[str, Any]:
    """The description of all documented routes, which lie below `base_path`."""
    paths: dict[str, dict[str, Any]] = {}
    named: dict[str, Any] = {}
    for route in routes:
        if route.documented:
            path = paths.setdefault(_PARAMETER.sub(r"{\1}", route.rule), {})
            path[route.method.lower()] = _operation(route, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": "DeepEvent", "version": _version(), "summary": "Live monitor and training server"},
        "servers": [{"url": base_path or "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "deepevent_session"},
            },
            "schemas": named
            | {
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "errors": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
                            },
                        },
                    },
                }
            },
        },
    }


def page(routes: Iterable[Route], base_path: str = "") -> str:
    """The same as a page without a script."""
    base = escape(base_path)
    rows = "".join(
        f"<tr><td><code>{escape(route.method)}</code></td><td><code>{escape(route.rule)}</code></td>"
        f"<td>{escape(_who(route))}</td><td>{escape(route.summary)}"
        + "".join(f"<br><small><code>{escape(n)}</code>: {escape(t)}</small>" for n, t in route.query.items())
        + "".join(f"<br><small>{status}: {escape(text)}</small>" for status, text in _said(route))
        + "</td></tr>"
        for route in routes
        if route.documented
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>DeepEvent HTTP API</title>'
        f'<link rel="stylesheet" href="{base}/static/tokens.css"><h1>DeepEvent HTTP API</h1>'
        f'<p>Machine-readable: <a href="{base}/api/v1/openapi.json">openapi.json</a></p>'
        f"<table><tr><th>Method<th>Path<th>Role<th>What it does</tr>{rows}</table></html>"
    )


def _said(route: Route) -> list[tuple[int, str]]:
    answers = route.answers.items()
    return [(status, said.text if isinstance(said, Answer) else said) for status, said in answers]


def _answers(route: Route, named: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, text in _said(route):
        found[str(status)] = {"description": text}
        said = route.answers[status]
        if isinstance(said, Answer):
            found[str(status)]["content"] = {
                content_type: {} if shape is None else {"schema": schema(shape, named)}
                for content_type, shape in said.contents.items()
            }
        elif status >= ERROR_FROM:
            found[str(status)] |= {"content": PROBLEM}
    return found


def _operation(route: Route, named: dict[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.rule)
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in route.query.items()
    ]
    operation: dict[str, Any] = {
        "operationId": route.endpoint.replace(".", "_"),
        "summary": route.summary,
        "description": f"Who may call: {_who(route)}.",
        "tags": [route.endpoint.partition(".")[0]],
        "parameters": parameters,
        "responses": _answers(route, named) | {"default": {"description": "a problem", "content": PROBLEM}},
        "security": [] if route.role == "public" else [{"token": []}, {"session": []}],
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.body.optional,
            "description": f"at most {route.body.limit_bytes} bytes",
            "content": {route.body.content_type: {"schema": dict(route.body.schema)}},
        }
    return operation


def _who(route: Route) -> str:
    names = {"public": "everybody", "any": "everybody who is signed in", "page": "a signed-in browser"}
    return names.get(route.role, f"{route.role}, operator" if route.role != "operator" else "operator")


def _version() -> str:
    try:
        return version("deepevent-monitor")
    except PackageNotFoundError:
        return "0"
