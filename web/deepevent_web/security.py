"""The gate: one WSGI layer in front of everything, Socket.IO and files included.

What it does not know, it refuses. Order: believe a proxy or strip what it claims, check Host and Origin,
find the route and its role in the one table, find out who calls, check the role and, for a browser's
changes, the CSRF token, then bound the body and the time. Flask and Socket.IO see only what passed. It opens
no database: `authenticate` is handed in.
"""

from __future__ import annotations

import io
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.http import parse_cookie
from werkzeug.routing import Map, RequestRedirect

from deepevent.store.connection import read_limit_s
from deepevent_web import bodies, problems, proxies, sessions
from deepevent_web.auditing import Auditor
from deepevent_web.policy import DATA_CSP, STATIC_HEADERS, Policy, page_csp
from deepevent_web.problems import Problem
from deepevent_web.rates import Rates
from deepevent_web.routes import API, Body, Route
from deepevent_web.seats import Seats
from deepevent_web.shares import Shares, too_much

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

SAFE_METHODS = frozenset({"GET", "HEAD"})
SOCKET_PATH = "/socket.io"
NOWHERE = "/not-found"  # the page that tells a person so
NO_BODY_LIMIT_BYTES = 1024
MAX_SECRET_CHARACTERS = 256

_log = logging.getLogger(__name__)


class Principal(Protocol):
    """Who calls, as the store's `access` says."""

    @property
    def token_id(self) -> int:
        """The number of the token or session."""
        ...

    @property
    def name(self) -> str:
        """Whom it is for."""
        ...

    @property
    def role(self) -> str:
        """viewer, logger or operator."""
        ...


class Authenticate(Protocol):
    """Find out whose secret this is; `browser` tells a session's from a token."""

    def __call__(self, secret: str, *, browser: bool) -> Principal | None:
        """The principal, or None."""
        ...


class Gate:
    """See the module's description."""

    def __init__(
        self,
        app: WsgiApp,
        *,
        url_map: Map,
        routes: Mapping[str, Route],
        policy: Policy,
        authenticate: Authenticate,
        query_s: float,
        seats: Seats,
        shares: Shares,
        wrong_tokens: Rates,
        auditor: Auditor,
        stopping: Callable[[], bool],
    ) -> None:
        self._app = app
        self._url_map = url_map
        self._routes = routes
        self._policy = policy
        self._authenticate = authenticate
        self._query_s = query_s
        self._seats = seats
        self._shares = shares
        self._wrong_tokens = wrong_tokens
        self._auditor = auditor
        self._stopping = stopping

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        nonce = secrets.token_urlsafe(18)
        environ["deepevent.nonce"] = nonce

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            secure = environ.get("deepevent.secure", False)
            self._note(environ, int(status[:3]))
            return start_response(status, self._with_headers(headers, nonce, secure), exc_info)

        try:
            self._clean(environ)
            if _is_socket(environ):
                return self._socket(environ, start)
            with ExitStack() as held:
                self._admit(environ, held)
                held.callback(read_limit_s.reset, read_limit_s.set(self._query_s))
                return self._app(environ, start)
        except Problem as problem:
            _log.info(
                "refused %s %r from %s: %s",
                environ.get("REQUEST_METHOD"),
                environ.get("PATH_INFO", "")[:200],
                environ.get("REMOTE_ADDR"),
                problem.detail,
            )
            self._note_refusal(environ, problem)
            return _respond(problem, start)

    def _note(self, environ: Environ, status: int) -> None:
        """Note a change that has been made."""
        principal, route = environ.get("deepevent.principal"), environ.get("deepevent.route")
        if principal is not None and route is not None and status < 400:
            detail = "; ".join(environ["deepevent.noted"]) or environ["PATH_INFO"].removeprefix(API)
            self._auditor.changed(principal.name, route, detail)

    def _note_refusal(self, environ: Environ, problem: Problem) -> None:
        """Note a change that somebody who is signed in may not make."""
        principal, method = environ.get("deepevent.principal"), environ["REQUEST_METHOD"]
        if principal is not None and problem.status == 403 and method not in SAFE_METHODS:
            self._auditor.refused(
                principal.name, f"{method} {environ['PATH_INFO'][:200].removeprefix(API)}: {problem.detail}"
            )

    def _admit(self, environ: Environ, held: ExitStack) -> None:
        method = environ["REQUEST_METHOD"]
        route = self._route(environ)
        if isinstance(route, Route) and route.role == "public":
            if not _is_static(
                environ
            ):  # the same for everybody, also for a figure's frame, whose origin is null
                self._check_origin(environ)
        else:
            self._check_caller(environ, route)
        if isinstance(route, HTTPException):
            raise _problem_of(route)
        environ["deepevent.route"] = route
        environ["deepevent.noted"] = []  # Flask sees a copy of the dictionary, but the same list
        if route.adds and self._stopping():
            raise Problem(503, "the server is stopping; try again", headers={"Retry-After": "2"})
        if route.role not in ("public", "agent"):  # agents have seats of their own for their long waits
            token = environ["deepevent.principal"].token_id
            held.enter_context(self._shares.request(token, adds=route.adds))
        self._bound_body(environ, route.body, method)

    def _clean(self, environ: Environ) -> None:
        proxies.settle(environ, self._policy.trusted_proxies)
        host = environ.get("HTTP_HOST", "")
        if not self._policy.host_allowed(host):
            raise Problem(
                400,
                f"this server does not answer to the host {host[:80]!r}; "
                "start it with --allowed-host to change that",
            )
        if self._policy.secure:
            environ["wsgi.url_scheme"] = "https"
        environ["deepevent.secure"] = environ["wsgi.url_scheme"] == "https"
        path = environ.get("PATH_INFO", "")
        if "\0" in path or "\\" in path or not path.startswith("/"):
            raise Problem(400, "the path holds a character that is not allowed")
        base = environ["SCRIPT_NAME"] = self._policy.base_path
        if base and (path == base or path.startswith(base + "/")):
            environ["PATH_INFO"] = path.removeprefix(base) or "/"

    def _route(self, environ: Environ) -> Route | HTTPException:
        adapter = self._url_map.bind_to_environ(environ)
        try:
            endpoint, _ = adapter.match()
        except RequestRedirect:
            return NotFound()
        except HTTPException as error:
            if isinstance(error, NotFound) and _is_reader(environ):
                environ["PATH_INFO"] = NOWHERE
                return self._route(environ)
            return error
        return self._routes[endpoint]

    def _check_origin(self, environ: Environ) -> None:
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and not self._policy.origin_allowed(
            origin, environ["HTTP_HOST"], environ["deepevent.secure"]
        ):
            raise Problem(403, f"requests from the origin {origin[:80]!r} are not taken")

    def _check_caller(self, environ: Environ, route: Route | HTTPException) -> None:
        principal, session = self._identify(environ)
        if principal is None:
            self._count_wrong_token(environ)
            raise self._stranger(environ, route)
        environ["deepevent.principal"] = principal
        self._check_origin(environ)
        if session is not None:
            environ["deepevent.session"] = session
            environ["deepevent.csrf"] = sessions.csrf_token(session)
            self._check_csrf(environ, session)
        if isinstance(route, HTTPException):
            return
        if route.role not in ("any", "page", principal.role) and principal.role != "operator":
            raise Problem(403, f"this needs the role {route.role}, and you have {principal.role}")

    def _identify(self, environ: Environ) -> tuple[Principal | None, str | None]:
        header = environ.get("HTTP_AUTHORIZATION")
        if header is not None:
            scheme, _, secret = header.partition(" ")
            secret = secret.strip()
            if scheme.lower() != "bearer" or not _plausible(secret):
                return None, None
            return self._authenticate(secret, browser=False), None
        session = parse_cookie(environ).get(sessions.COOKIE, "")
        if not _plausible(session):
            return None, None
        return self._authenticate(session, browser=True), session

    def _count_wrong_token(self, environ: Environ) -> None:
        """Slow down who tries tokens; one that is right gets in all the same."""
        if "HTTP_AUTHORIZATION" in environ or sessions.COOKIE in environ.get("HTTP_COOKIE", ""):
            wait_s = self._wrong_tokens.take(environ.get("REMOTE_ADDR", ""))
            if wait_s > 0:
                raise too_much("too many wrong tokens came from this address", wait_s)

    def _stranger(self, environ: Environ, route: Route | HTTPException) -> Problem:
        path = environ["PATH_INFO"]
        if isinstance(route, Route) and route.role == "page":
            query = environ.get("QUERY_STRING", "")
            wanted = quote(f"{path}?{query}" if query else path, safe="/")
            location = self._policy.base_path + ("/signin" if wanted == "/" else f"/signin?next={wanted}")
            return Problem(303, "sign in first", headers={"Location": location})
        if isinstance(route, NotFound) and not path.startswith(("/api", SOCKET_PATH)):
            return problems.not_found("this page")
        return Problem(
            401,
            "sign in with the link that the server printed, or send a token: Authorization: Bearer <token>",
            headers={"WWW-Authenticate": 'Bearer realm="DeepEvent"'},
        )

    def _check_csrf(self, environ: Environ, session: str) -> None:
        if environ["REQUEST_METHOD"] in SAFE_METHODS:
            return
        if environ.get("HTTP_ORIGIN") is None:
            raise Problem(403, "a change from a browser session needs an Origin header")
        if not sessions.csrf_matches(session, environ.get(sessions.CSRF_HEADER, "")):
            raise Problem(403, "the X-CSRF-Token header is missing or wrong; reload the page")

    def _bound_body(self, environ: Environ, body: Body | None, method: str) -> None:
        if method in SAFE_METHODS and body is None:
            return
        limit = NO_BODY_LIMIT_BYTES if body is None else body.limit_bytes
        bounded = bodies.BoundedBody(environ, limit)
        if (
            body is not None
            and not body.optional
            and environ.get("CONTENT_LENGTH") in (None, "")
            and bounded.length == 0
        ):
            raise Problem(411, "this request needs a body with a Content-Length")
        if body is not None and body.streamed:
            environ["deepevent.body"] = bounded
            return
        content = bounded.read_all()
        environ["wsgi.input"] = io.BytesIO(content)
        environ["CONTENT_LENGTH"] = str(len(content))
        environ.pop("HTTP_TRANSFER_ENCODING", None)

    def _socket(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        principal, session = self._identify(environ)
        if principal is None:
            self._count_wrong_token(environ)
            raise Problem(401, "sign in first", headers={"WWW-Authenticate": 'Bearer realm="DeepEvent"'})
        if session is not None and environ.get("HTTP_ORIGIN") is None:
            raise Problem(403, "a browser session's socket needs an Origin header")
        self._check_origin(environ)
        if principal.role not in ("viewer", "operator"):
            raise Problem(403, f"this needs the role viewer, and you have {principal.role}")
        query = environ.get("QUERY_STRING", "").split("&")
        upgrade = environ.get("HTTP_UPGRADE", "").lower()
        if environ["REQUEST_METHOD"] != "GET" or upgrade != "websocket" or "transport=websocket" not in query:
            raise Problem(404, "live events come over WebSocket only")
        if self._stopping():
            raise Problem(503, "the server is stopping; try again", headers={"Retry-After": "2"})
        environ["deepevent.principal"] = principal
        environ["deepevent.secret"] = (session or _bearer(environ), session is not None)
        for key in ("HTTP_COOKIE", "HTTP_AUTHORIZATION"):
            environ.pop(key, None)
        with self._seats.taken(environ.get("REMOTE_ADDR", "")):
            return self._app(environ, start)

    def _with_headers(
        self, headers: list[tuple[str, str]], nonce: str, secure: bool
    ) -> list[tuple[str, str]]:
        present = {name.lower(): value for name, value in headers}
        added = [(name, value) for name, value in STATIC_HEADERS if name.lower() not in present]
        if "content-security-policy" not in present:
            is_page = present.get("content-type", "").startswith(("text/html", "text/javascript"))
            csp = page_csp(nonce, secure) if is_page else DATA_CSP
            added.append(("Content-Security-Policy", csp))
        if "cache-control" not in present:
            added += [("Cache-Control", "no-store"), ("Vary", "Cookie, Authorization")]
        if secure and self._policy.hsts_s:
            added.append(("Strict-Transport-Security", f"max-age={self._policy.hsts_s}"))
        return [*headers, *added]


def _is_static(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and environ["PATH_INFO"].startswith("/static/")


def _is_reader(environ: Environ) -> bool:
    """Whether a browser with a session wants to show this address to a person."""
    path = environ["PATH_INFO"]
    return (
        environ["REQUEST_METHOD"] == "GET"
        and "text/html" in environ.get("HTTP_ACCEPT", "")
        and sessions.COOKIE in environ.get("HTTP_COOKIE", "")
        and not path.startswith(("/api/", "/static/", NOWHERE))
    )


def _is_socket(environ: Environ) -> bool:
    path = environ.get("PATH_INFO", "")
    return bool(path == SOCKET_PATH or path.startswith(SOCKET_PATH + "/"))


def _plausible(secret: str) -> bool:
    return (
        0 < len(secret) <= MAX_SECRET_CHARACTERS
        and secret.isascii()
        and secret.isprintable()
        and " " not in secret
    )


def _bearer(environ: Environ) -> str:
    return str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")[2].strip()


def _problem_of(error: HTTPException) -> Problem:
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return Problem(405, f"this path takes {allowed}", headers={"Allow": allowed})
    return problems.not_found("this address")


def _respond(problem: Problem, start: StartResponse) -> Iterable[bytes]:
    body = b"" if problem.status < 400 else problem.body()
    headers = [*problem.headers.items(), ("Content-Length", str(len(body)))]
    headers.append(("Content-Type", problems.CONTENT_TYPE if body else "text/plain"))
    start(f"{problem.status} {HTTPStatus(problem.status).phrase}", headers)
    return [body]
