"""The description of the API, used against the server: every operation, whatever its schema allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from deepevent import wire
from deepevent_web import openapi, routes
from deepevent_web.app import NOUNS

N_EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
WAITING = "/api/v1/agents/{agent}/claim"
"""Waits for a job for as long as it is asked to; tests/jobs has it."""

schemathesis.serializer.alias(wire.CONTENT_TYPE, "application/octet-stream")
DOCUMENT = openapi.document(routes.table(NOUNS).values())
schema = schemathesis.openapi.from_dict(DOCUMENT)


@schema.exclude(path=WAITING).parametrize()
@settings(
    max_examples=N_EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_documented(
    case: schemathesis.Case, shared_server: Any, described: Callable[..., None]
) -> None:
    """No answer is 5xx; an error is a problem; a success has a documented status."""
    headers = {"Authorization": f"Bearer {shared_server.token}"}
    answer = case.call(base_url=shared_server.url, headers=headers, timeout=60)
    case.validate_response(answer, checks=CHECKS, headers=headers)
    described(case.method, case.formatted_path, answer)
    documented = DOCUMENT["paths"][case.operation.path][case.operation.method.lower()]["responses"]
    assert answer.status_code >= 400 or str(answer.status_code) in documented, answer.status_code
