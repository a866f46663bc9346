"""`/session`: from a one-time code to a browser session and back."""

from __future__ import annotations

import time

from flask import Response, request

from deepevent.store import access
from deepevent_web import sessions
from deepevent_web.fields import Fields, json_body
from deepevent_web.problems import Problem
from deepevent_web.routes import Answer, Body, Noun
from deepevent_web.serialise import answer, empty
from deepevent_web.services import principal, services
from deepevent_web.shares import too_much

noun = Noun("session")


def sign_in_url(address: str, code: str) -> str:
    """The link with a code; it stands behind the #, so it is in no server's log."""
    return f"{address}/signin#{code}"


@noun.route(
    "POST",
    "/session",
    role="public",
    summary="Exchange a one-time code for a browser session",
    body=Body(limit_bytes=4096, schema={"type": "object", "required": ["code"]}),
    answers={204: "the session's cookie is set", 401: "the code is wrong, used or too old"},
)
def sign_in() -> Response:
    """Exchange a code."""
    here = services()
    fields = Fields(json_body())
    code = fields.text("code", limit=256)
    fields.done()
    address = request.environ.get("REMOTE_ADDR", "")
    wait_s = here.wrong_codes.wait_s(address)
    if wait_s > 0:
        raise too_much("too many wrong codes came from this address", wait_s)
    secret = access.exchange_code(here.db, code.strip(), sessions.SESSION_S)
    if secret is None:
        here.wrong_codes.take(address)
        here.auditor.refused(address, "a sign-in with a wrong code")
        raise Problem(
            401,
            "this code is wrong, was used, or is older than an hour; get another with: deepevent token link",
        )
    here.auditor.note(address, "signed in")
    return _with_cookie(secret, sessions.SESSION_S)


def _with_cookie(secret: str, max_age_s: float) -> Response:
    response = empty()
    response.headers["Set-Cookie"] = sessions.set_cookie(
        secret,
        secure=request.environ["deepevent.secure"],
        max_age_s=max_age_s,
        base_path=services().policy.base_path,
    )
    return response


@noun.route(
    "GET",
    "/session",
    role="any",
    summary="Who is signed in",
    answers={200: Answer("who it is", {"role": str, "name": str, "expires": float | None})},
)
def show() -> Response:
    """Say who is signed in."""
    who = principal()
    return answer({"role": who.role, "name": who.name, "expires": who.expires})


@noun.route("DELETE", "/session", role="any", summary="Sign out", answers={204: "signed out"})
def sign_out() -> Response:
    """End the session; a token that programs use is not touched."""
    here = services()
    if "deepevent.session" in request.environ:
        access.revoke(here.db, principal().token_id)
    return _with_cookie("", 0.0)


@noun.route(
    "POST",
    "/session/codes",
    role="operator",
    summary="Make a new sign-in link",
    answers={201: Answer("the link", {"code": str, "url": str, "expires": float})},
)
def make_code() -> Response:
    """Make a code for another browser."""
    here = services()
    code = access.create_token(here.db, "sign-in", "operator", kind="code", expires_s=sessions.CODE_S)
    return answer(
        {"code": code, "url": sign_in_url(here.address, code), "expires": time.time() + sessions.CODE_S}, 201
    )
