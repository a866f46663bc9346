"""`POST /ingest`: a binary batch out of a script's journal; acknowledged after the durable commit."""

from __future__ import annotations

import time

from flask import Response, request

from deepevent import wire
from deepevent.errors import StoreBusy, StoreOverloaded
from deepevent_web.answers import Whole
from deepevent_web.problems import Problem
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer
from deepevent_web.services import principal, services

noun = Noun("ingest")
BATCH_LIMIT_BYTES = wire.BATCH_HEADER_SIZE + wire.BATCH_BODY_LIMIT


def submit(batch: wire.Batch) -> tuple[int, bool]:
    """Commit a batch.

    Returns:
        The last sequence committed, and whether the script is asked to stop.

    Raises:
        Problem: 429 while more arrives than can be committed or than this token may send, 503 while the
            store cannot take it.
    """
    here, token = services(), principal().token_id
    if batch.first_sequence == 1 and batch.n_records:
        here.shares.run(token)
    try:
        with here.shares.batch(token, len(batch.body)):
            acknowledgement = here.committer.submit(batch)
    except StoreBusy as error:
        raise Problem(
            429 if isinstance(error, StoreOverloaded) else 503,
            str(error),
            headers={"Retry-After": str(max(1, round(error.retry_after_s)))},
        ) from error
    here.shares.names(token, acknowledgement.n_new_metrics)
    return acknowledgement.last_sequence, acknowledgement.should_stop


@noun.route(
    "POST",
    "/ingest",
    role="logger",
    summary="Take a batch of journal records (docs/formats.md, section 2)",
    body=Body(wire.CONTENT_TYPE, BATCH_LIMIT_BYTES, {"type": "string", "format": "binary"}),
    answers={
        200: Answer("durable", {"acknowledged": Whole, "should_stop": bool, "time": float}),
        404: "the run was deleted",
        409: "a gap: send again from `expected`",
        422: "the batch can never be accepted",
        429: "more arrives than can be committed: send again after Retry-After",
    },
    adds=True,
)
def ingest() -> Response:
    """Take a batch."""
    if request.mimetype != wire.CONTENT_TYPE:
        raise Problem(415, f"the body must be {wire.CONTENT_TYPE}, got {request.mimetype[:80]!r}")
    sequence, should_stop = submit(wire.decode(request.get_data()))
    return answer({"acknowledged": sequence, "should_stop": should_stop, "time": time.time()})
