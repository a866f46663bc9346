"""`/views`: saved views, each a name for an address of the dashboard, which holds the whole view."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from flask import Response

from deepevent.store import views
from deepevent_web.answers import View
from deepevent_web.fields import ULID, Fields, json_body
from deepevent_web.problems import Problem, not_found
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer, empty
from deepevent_web.services import principal, services

noun = Noun("views")
BODY = Body(limit_bytes=64 * 1024)
PAGES = re.compile(r"/(runs/[0-9a-hjkmnp-tv-z]{26}|compare|detections|jobs)?\Z")
_UNFIT = re.compile(r"[\x00-\x20\x7f\\\"<>#]")


@noun.route(
    "GET",
    "/views",
    role="viewer",
    summary="List the saved views by name",
    answers={200: Answer("the views", {"views": list[View]})},
)
def index() -> Response:
    """List views."""
    return answer({"views": views.list_views(services().db)})


@noun.route(
    "POST",
    "/views",
    role="operator",
    summary="Save a view of the dashboard under a name",
    body=BODY,
    answers={201: Answer("the View", View), 422: "not an address of the dashboard, or too many views"},
)
def create() -> Response:
    """Save a view."""
    fields = Fields(json_body())
    given = {"name": fields.name("name"), "address": _address(fields)}
    _nothing_null(fields, given)
    fields.done()
    return answer(views.create_view(services().db, **given, created_by=principal().name), 201)


@noun.route(
    "GET",
    "/views/<view>",
    role="viewer",
    summary="Show a saved view",
    answers={200: Answer("the View", View)},
)
def show(view: str) -> Response:
    """Show a view."""
    return answer(views.get_view(services().db, _id(view)))


@noun.route(
    "PATCH",
    "/views/<view>",
    role="operator",
    summary="Give a saved view another name, or let it show something else",
    body=BODY,
    answers={200: Answer("the View", View)},
)
def update(view: str) -> Response:
    """Change a view."""
    fields = Fields(json_body())
    changes: dict[str, Any] = {}
    if "name" in fields:
        changes["name"] = fields.name("name")
    if "address" in fields:
        changes["address"] = _address(fields)
    _nothing_null(fields, changes)
    fields.done()
    if not changes:
        raise Problem(422, "give at least one of name and address")
    return answer(views.update_view(services().db, _id(view), **changes))


@noun.route(
    "DELETE", "/views/<view>", role="operator", summary="Delete a saved view", answers={204: "it is gone"}
)
def delete(view: str) -> Response:
    """Delete a view."""
    views.delete_view(services().db, _id(view))
    return empty()


def _nothing_null(fields: Fields, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is None and name in fields:
            fields.wrong(name, "must not be null")


def _id(view: str) -> str:
    if not ULID.match(view):
        raise not_found("the view")
    return view


def _address(fields: Fields) -> Any:
    """A path of the dashboard with its query: nothing that would lead a browser elsewhere."""
    address = fields.text("address", limit=views.ADDRESS_LIMIT)
    if isinstance(address, str) and not (
        PAGES.match(urlsplit(address).path)
        and address.startswith("/")
        and not address.startswith("//")
        and not _UNFIT.search(address)
    ):
        fields.wrong("address", "must be a path of the dashboard with its query, as the browser shows it")
    return address
