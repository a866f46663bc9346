"""One table of all that the server answers: path, method, who may call, how much may be sent, what it says.

The gate (`security`) takes roles and limits from it, `openapi` the description. A rule that Flask knows
and this table does not is an error at start, so nobody can add a route and forget its permission. Knows
no store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue

from deepevent_web.limits import LIMITS

Role = Literal["public", "page", "any", "viewer", "logger", "agent", "operator"]
"""Who may call: `public` everybody, `page` a signed-in browser (others are sent to the sign-in page),
`any` everybody who is signed in, else the role of that name and the operator."""

API = "/api/v1"
JSON_LIMIT_BYTES = LIMITS.json_bytes
WITH_A_BODY = (200, 201, 202, 206)
PROBLEM_FROM = 300


@dataclass(frozen=True)
class Body:
    """What a request carries: its type and limit, and whether its handler reads it piece by piece."""

    content_type: str = "application/json"
    limit_bytes: int = JSON_LIMIT_BYTES
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    streamed: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Answer:
    """What a request that succeeds is answered with: in words, and as content types with their shapes.

    A shape is a type of `answers`, or the fields of an object by name; None: bytes or text without one.
    """

    text: str
    shape: Any = None
    content_type: str = "application/json"
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def contents(self) -> dict[str, Any]:
        """Shapes by content type."""
        return {self.content_type: self.shape, **self.others}


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    endpoint: str
    method: str
    rule: str
    role: Role
    summary: str
    body: Body | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[int, str | Answer] = field(default_factory=dict)
    adds: bool = False
    """True where events come in: refused with 503 while the server stops."""

    @property
    def documented(self) -> bool:
        """Whether the route belongs to the HTTP API (the others are pages and files)."""
        return self.rule.startswith("/api") or self.rule in {"/healthz", "/readyz", "/metrics"}


Handler = Callable[..., ResponseReturnValue]


class Noun:
    """A blueprint that writes each of its routes into the table."""

    def __init__(self, name: str, prefix: str = API) -> None:
        self.name = name
        self.prefix = prefix
        self.routes: list[Route] = []
        self.blueprint = Blueprint(name, __name__)

    def route(
        self,
        method: str,
        path: str,
        *,
        role: Role,
        summary: str,
        body: Body | None = None,
        query: Mapping[str, str] | None = None,
        answers: Mapping[int, str | Answer] | None = None,
        adds: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler under `prefix + path`."""

        def register(handler: Handler) -> Handler:
            rule = self.prefix + path
            suffix = (
                "" if not any(r.endpoint == f"{self.name}.{handler.__name__}" for r in self.routes) else "_2"
            )
            endpoint = handler.__name__ + suffix
            self.routes.append(
                Route(
                    endpoint=f"{self.name}.{endpoint}",
                    method=method,
                    rule=rule,
                    role=role,
                    summary=summary,
                    body=body,
                    query=query or {},
                    answers=answers or {},
                    adds=adds,
                )
            )
            self.blueprint.add_url_rule(
                rule,
                endpoint,
                handler,
                methods=[method],
                provide_automatic_options=False,
                strict_slashes=True,
            )
            return handler

        return register


def table(nouns: Iterable[Noun]) -> dict[str, Route]:
    """All routes by endpoint."""
    return {route.endpoint: route for noun in nouns for route in noun.routes}


def check(app: Flask, routes: Mapping[str, Route]) -> None:
    """Refuse to start when Flask knows a rule that the table does not, or an answer has no description.

    Raises:
        RuntimeError: such a rule exists, or a part of the API that does not say what it answers.
    """
    for route in routes.values():
        told = {status: said for status, said in route.answers.items() if status in WITH_A_BODY}
        if route.documented and not all(isinstance(said, Answer) for said in told.values()):
            raise RuntimeError(f"{route.method} {route.rule} does not say what shape its answer has")
        if route.documented and not any(status < PROBLEM_FROM for status in route.answers):
            raise RuntimeError(f"{route.method} {route.rule} does not say how it answers when all is well")
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in routes:
            raise RuntimeError(
                f"the route {rule.rule!r} ({rule.endpoint}) has no entry in the table of roles"
            )
