"""Every error that leaves the server: RFC 9457 problem details.

One shape for all of them, whatever raised it: a handler that found bad input, the store, the router (404,
405), the gate in front (401, 403, 413) or a defect (500, without a word of its traceback). Knows nothing
of routes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from deepevent import errors

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_BUSY_S = 1.0
NOT_FOUND = (
    errors.RunNotFound,
    errors.RunDeleted,
    errors.JobNotFound,
    errors.AgentNotFound,
    errors.SweepNotFound,
    errors.ViewNotFound,
    errors.AlertRuleNotFound,
    errors.WebhookNotFound,
)

_log = logging.getLogger(__name__)


class Problem(Exception):
    """An answer that says no: a status, one sentence, and what is wrong with each field."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def body(self) -> bytes:
        """The problem as JSON text."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "errors": self.errors,
            **self.extra,
        }
        return json.dumps(document).encode()

    def response(self) -> Response:
        """The problem as a Flask response."""
        return Response(self.body(), self.status, {**self.headers, "Content-Type": CONTENT_TYPE})


def not_found(what: str) -> Problem:
    """The one answer for everything that is not there, so that nobody can tell why."""
    return Problem(404, f"{what} was not found")


def from_error(error: errors.DeepEventError) -> Problem:
    """Say one of our own errors in HTTP."""
    message = str(error)
    match error:
        case _ if isinstance(error, NOT_FOUND):
            return Problem(404, message)
        case errors.LeaseLost() | errors.JobConflict() | errors.SweepConflict() | errors.SequenceGap():
            return Problem(409, message, extra=_expected(error))
        case errors.FilterError():
            return Problem(
                422,
                message,
                errors=[{"field": "filter", "detail": message, "position": error.position}],
            )
        case errors.SettingsError() | errors.BatchInvalid() | errors.BlobInvalid() | errors.RecordDamaged():
            return Problem(422, message)
        case errors.StoreBusy():
            seconds = max(1, round(error.retry_after_s))
            status = 429 if isinstance(error, errors.StoreOverloaded) else 503
            return Problem(status, message, headers={"Retry-After": str(seconds)})
        case _:
            _log.error("unexpected error", exc_info=error)
            return Problem(500, "the server failed; its log says why")


def _expected(error: errors.DeepEventError) -> dict[str, int]:
    return {"expected": error.expected} if isinstance(error, errors.SequenceGap) else {}


def install(app: Flask) -> None:
    """Answer every error of `app` with a problem."""

    def problem(error: Problem) -> Response:
        return error.response()

    def ours(error: errors.DeepEventError) -> Response:
        return from_error(error).response()

    def http(error: HTTPException) -> Response:
        status = error.code or 500
        if status < 400:
            return Response(status=status, headers=error.get_headers())
        headers: dict[str, str] = {}
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            headers["Allow"] = ", ".join(sorted(allowed))
        return Problem(status, error.description or HTTPStatus(status).phrase, headers=headers).response()

    def defect(error: Exception) -> Response:
        _log.error("a request failed", exc_info=error)
        return Problem(500, "the server failed; its log says why").response()

    app.register_error_handler(Problem, problem)
    app.register_error_handler(errors.DeepEventError, ours)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, defect)
