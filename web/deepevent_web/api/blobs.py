"""`/blobs/{sha256}`: files by the hash of their content, never by a name or path."""

from __future__ import annotations

from typing import Any, cast

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import wrap_file

from deepevent_web.fields import SHA256, Query
from deepevent_web.problems import not_found
from deepevent_web.routes import Body, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import services

noun = Noun("blobs")
BLOB_LIMIT_BYTES = 5 * 1024**3
SAFE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
"""Shown in the page; SVG is no image but a program, and comes as an attachment like everything else."""


@noun.route(
    "PUT",
    "/blobs/<sha256>",
    role="logger",
    summary="Store a file under the hash of its content",
    body=Body(
        "application/octet-stream", BLOB_LIMIT_BYTES, {"type": "string", "format": "binary"}, streamed=True
    ),
    answers={201: "stored", 200: "it was there", 422: "the content has another hash"},
    adds=True,
)
def put(sha256: str) -> Response:
    """Store a blob."""
    if not SHA256.match(sha256):
        raise not_found("the blob")
    stream = cast(Any, request.environ["deepevent.body"])
    stored = services().blobs.put(stream, sha256, BLOB_LIMIT_BYTES)
    return answer({"sha256": sha256}, 201 if stored else 200)


@noun.route(
    "GET",
    "/blobs/<sha256>",
    role="viewer",
    summary="Fetch a file by the hash of its content",
    query={"type": "one of the safe image types; else the file is an attachment"},
    answers={200: "the file"},
)
def get(sha256: str) -> Response:
    """Fetch a blob."""
    query = Query()
    mime = query.choice("type", SAFE_TYPES, None)
    query.done()
    if not SHA256.match(sha256):
        raise not_found("the blob")
    blobs = services().blobs
    try:
        file = blobs.open(sha256)
        size = blobs.size(sha256)
    except FileNotFoundError:
        raise not_found("the blob") from None
    response = Response(wrap_file(request.environ, file), 200, direct_passthrough=True)
    response.mimetype = mime or "application/octet-stream"
    response.content_length = size
    if mime is None:
        response.headers.set("Content-Disposition", "attachment", filename=sha256)
    response.set_etag(sha256)
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["Vary"] = "Cookie, Authorization"
    try:
        response.make_conditional(request.environ, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        response.close()
        raise
    return response
