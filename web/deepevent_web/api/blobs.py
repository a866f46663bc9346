"""`/blobs/{sha256}`: files by the hash of their content, never by a name or path."""

from __future__ import annotations

from typing import Any, cast

from flask import Response, request, send_file

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
    query={
        "type": "one of the safe image types; else the file is an attachment",
        "name": "what a browser calls the attachment",
    },
    answers={200: "the file"},
)
def get(sha256: str) -> Response:
    """Fetch a blob."""
    query = Query()
    mime = query.choice("type", SAFE_TYPES, None)
    name = query.name("name", None)
    if name is not None and ("/" in name or "\\" in name or name.startswith(".")):
        query.wrong("name", "must be a plain file name")
    query.done()
    blobs = services().blobs
    if not SHA256.match(sha256) or not blobs.exists(sha256):
        raise not_found("the blob")
    response = send_file(
        blobs.path(sha256),
        mimetype=mime or "application/octet-stream",
        as_attachment=mime is None,
        download_name=name or sha256,
        conditional=True,
        etag=sha256,
        last_modified=0,
    )
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["Vary"] = "Cookie, Authorization"
    return response
