"""`/blobs/{sha256}`: files by the hash of their content, never by a name or path."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from flask import Response, request
from werkzeug.wsgi import wrap_file

from deepevent_web import images
from deepevent_web.answers import Sha256
from deepevent_web.fields import SHA256, Query
from deepevent_web.limits import LIMITS
from deepevent_web.problems import Problem, not_found
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import services

noun = Noun("blobs")
SAFE_TYPES = (images.PNG, images.JPEG, images.WEBP, images.GIF)
"""Shown in the page; SVG is no image but a program, and comes as an attachment like everything else."""


@noun.route(
    "PUT",
    "/blobs/<sha256>",
    role="logger",
    summary="Store a file under the hash of its content",
    body=Body(
        "application/octet-stream", LIMITS.blob_bytes, {"type": "string", "format": "binary"}, streamed=True
    ),
    answers={
        201: Answer("stored", {"sha256": Sha256}),
        200: Answer("it was there", {"sha256": Sha256}),
        422: "the content has another hash",
    },
    adds=True,
)
def put(sha256: str) -> Response:
    """Store a blob."""
    if not SHA256.match(sha256):
        raise not_found("the blob")
    stream = cast(Any, request.environ["deepevent.body"])
    stored = services().blobs.put(stream, sha256, LIMITS.blob_bytes)
    return answer({"sha256": sha256}, 201 if stored else 200)


@noun.route(
    "GET",
    "/blobs/<sha256>",
    role="viewer",
    summary="Fetch a file by the hash of its content",
    query={
        "type": "one of the safe image types, to be shown; else the file is an attachment",
        "name": "what a browser calls the attachment",
    },
    answers={
        200: Answer("the file", content_type="application/octet-stream", others=dict.fromkeys(SAFE_TYPES)),
        206: Answer(
            "the part of it that a Range header named",
            content_type="application/octet-stream",
            others=dict.fromkeys(SAFE_TYPES),
        ),
        304: "the caller has it",
        416: "no such part",
        422: "it is no image of this type, or one that is too large to be shown",
    },
)
def get(sha256: str) -> Response:
    """Fetch a blob."""
    query = Query()
    mime = query.choice("type", SAFE_TYPES, None)
    name = query.name("name", None)
    if name is not None and ("/" in name or "\\" in name or name.startswith(".")):
        query.wrong("name", "must be a plain file name")
    query.done()
    if not SHA256.match(sha256):
        raise not_found("the blob")
    if mime is not None:
        with _open(sha256) as file:
            _check_image(file, _size(sha256), mime)
    return _answer(_open(sha256), sha256, mime, name or sha256)


def _open(sha256: str) -> BinaryIO:
    try:
        return services().blobs.open(sha256)
    except OSError:  # not there, or a link in its place, which is not followed
        raise not_found("the blob") from None


def _size(sha256: str) -> int:
    try:
        return services().blobs.size(sha256)
    except OSError:
        raise not_found("the blob") from None


def _check_image(file: BinaryIO, size: int, mime: str) -> None:
    """Let only that be shown which is what it is said to be, and which a browser can decode in passing."""
    found = images.look(file)
    if found is None or found.mime != mime:
        raise Problem(422, f"this file does not begin like {mime}; without ?type= it comes as an attachment")
    pixels, frames = found.width_px * found.height_px, found.n_frames
    if size > LIMITS.image_bytes or pixels > LIMITS.image_pixels or frames > LIMITS.image_frames:
        raise Problem(
            422,
            f"an image is shown up to {LIMITS.image_bytes} bytes, {LIMITS.image_pixels} pixels and "
            f"{LIMITS.image_frames} frames; without ?type= it comes as an attachment",
        )


def _answer(file: BinaryIO, sha256: str, mime: str | None, name: str) -> Response:
    size = _size(sha256)
    response = Response(wrap_file(request.environ, file), mimetype=mime or "application/octet-stream")
    response.direct_passthrough = True
    response.content_length = size
    response.set_etag(sha256)
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["Vary"] = "Cookie, Authorization"
    if mime is None:
        response.headers.set("Content-Disposition", "attachment", filename=name)
    response.make_conditional(request.environ, accept_ranges=True, complete_length=size)
    return response
