"""`/alerts`, `/alert-rules`, `/webhooks`: what people want to be told, what was told, where it is sent."""

from __future__ import annotations

from flask import Response

from deepevent.store import alerts, webhooks
from deepevent.store.events import ALERT_LEVELS
from deepevent_web.answers import AlertRule, NamedAlert, Webhook
from deepevent_web.fields import Fields, Query, json_body
from deepevent_web.problems import not_found
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer, empty
from deepevent_web.services import principal, services

noun = Noun("alerts")
MAX_ALERTS = 200
BODY = Body(limit_bytes=16 * 1024)


@noun.route(
    "GET",
    "/alerts",
    role="viewer",
    summary="The newest alerts of all runs; ?before= reads on",
    answers={200: Answer("the alerts", {"alerts": list[NamedAlert]})},
)
def newest() -> Response:
    """List alerts."""
    query = Query()
    limit = query.count("limit", 50, low=1, high=MAX_ALERTS)
    before = query.count("before", 0)
    query.done(400)
    return answer({"alerts": alerts.list_newest(services().db, limit, before or None)})


@noun.route(
    "GET",
    "/alert-rules",
    role="viewer",
    summary="List the alert rules",
    answers={200: Answer("the rules", {"rules": list[AlertRule]})},
)
def rules() -> Response:
    """List rules."""
    return answer({"rules": alerts.list_rules(services().db)})


@noun.route(
    "POST",
    "/alert-rules",
    role="operator",
    summary="Ask to be told of runs, from now on and once a run",
    body=BODY,
    answers={201: Answer("the rule", AlertRule), 422: "something is missing, or there are too many rules"},
)
def create_rule() -> Response:
    """Make a rule."""
    fields = Fields(json_body())
    kind = fields.choice("kind", alerts.KINDS)
    given = {
        "project": fields.name("project", None),
        "metric": fields.name("metric", None),
        "bound": fields.number("bound", None),
        "patience": fields.integer("patience", None, low=1, high=alerts.PATIENCE_LIMIT),
        "goal": fields.choice("goal", alerts.GOALS, None),
        "level": fields.choice("level", ALERT_LEVELS, "warning"),
    }
    fields.done()
    return answer(alerts.create_rule(services().db, kind, **given, actor=principal().name), 201)


@noun.route(
    "DELETE",
    "/alert-rules/<rule>",
    role="operator",
    summary="Delete an alert rule",
    answers={204: "it is gone"},
)
def delete_rule(rule: str) -> Response:
    """Delete a rule."""
    alerts.delete_rule(services().db, _number(rule, "the alert rule"), principal().name)
    return empty()


@noun.route(
    "GET",
    "/webhooks",
    role="operator",
    summary="List the webhooks, each with its last delivery",
    answers={200: Answer("the webhooks, without their secrets", {"webhooks": list[Webhook]})},
)
def hooks() -> Response:
    """List webhooks."""
    return answer({"webhooks": webhooks.list_webhooks(services().db)})


@noun.route(
    "POST",
    "/webhooks",
    role="operator",
    summary="Send alerts to an address, signed",
    body=BODY,
    answers={
        201: Answer("the webhook with its secret, shown this once", Webhook),
        422: "not an address, or too many",
    },
)
def create_webhook() -> Response:
    """Make a webhook."""
    fields = Fields(json_body())
    url, project = fields.text("url", limit=webhooks.URL_LIMIT), fields.name("project", None)
    fields.done()
    return answer(webhooks.create_webhook(services().db, url, project=project, actor=principal().name), 201)


@noun.route(
    "DELETE", "/webhooks/<webhook>", role="operator", summary="Delete a webhook", answers={204: "it is gone"}
)
def delete_webhook(webhook: str) -> Response:
    """Delete a webhook."""
    webhooks.delete_webhook(services().db, _number(webhook, "the webhook"), principal().name)
    return empty()


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise not_found(what)
    return int(text)
