"""The shell of the dashboard, the sign-in page, and the files they load.

The shell is one page for all addresses: the view is in the URL and the browser draws it. Files carry the
hash of their content in `?v=` and may be kept for ever; Plotly.js comes out of the installed plotly
package, compressed once. Knows nothing of runs.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import re
import threading
from functools import lru_cache
from pathlib import Path

from flask import Response, redirect, render_template, request, send_file
from flask.typing import ResponseReturnValue
from werkzeug.security import safe_join

from deepevent_web.policy import figure_csp
from deepevent_web.problems import not_found
from deepevent_web.routes import Noun

STATIC = Path(__file__).with_name("static")
FOREVER = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
_SERVED = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
}
_SERVED |= {".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2"}
_SERVED |= {".map": "application/json", ".txt": "text/plain", ".webmanifest": "application/manifest+json"}
_PLOTLY_VERSION = re.compile(rb"plotly\.js v([0-9][0-9A-Za-z.+-]*)")

_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')

noun = Noun("pages", prefix="")
_lock = threading.Lock()


@noun.route("GET", "/signin", role="public", summary="The sign-in page")
def sign_in() -> ResponseReturnValue:
    """Exchange the code behind the # for a session."""
    return _page("shell.html")


def _page(template: str) -> Response:
    text = render_template(
        template,
        nonce=request.environ["deepevent.nonce"],
        csrf=request.environ.get("deepevent.csrf", ""),
        plotly=plotly_address(),
        unwanted_styles=unwanted_styles(),
        asset=asset,
        base=request.script_root,
        import_map=json.dumps(import_map(), indent=2),
        role=getattr(request.environ.get("deepevent.principal"), "role", ""),
    )
    return Response(text, 200, {"Content-Type": "text/html; charset=utf-8"})


def _shell(rule: str, name: str) -> None:
    def show(**_: str) -> ResponseReturnValue:
        return _page("shell.html")

    show.__name__ = f"shell_{name}"
    noun.route("GET", rule, role="page", summary="The dashboard")(show)


for _rule, _name in {
    "/": "home",
    "/runs": "runs",
    "/runs/<run>": "run",
    "/runs/<run>/<part>": "run_part",
    "/compare": "compare",
    "/detections": "detections",
    "/jobs": "jobs",
    "/jobs/<job>": "job",
    "/sweeps/<sweep>": "sweep",
    "/settings": "settings",
}.items():
    _shell(_rule, _name)


@noun.route("GET", "/not-found", role="page", summary="What a person sees of an address that leads nowhere")
def nowhere() -> ResponseReturnValue:
    """Serve the dashboard, which says so, with the status that says so to programs."""
    response = _page("shell.html")
    response.status_code = 404
    return response


@noun.route("GET", "/figure", role="page", summary="The frame in which a logged figure is drawn")
def figure() -> ResponseReturnValue:
    """Serve the frame; the page hands the figure in."""
    response = _page("figure.html")
    response.headers["Content-Security-Policy"] = figure_csp(request.environ["deepevent.nonce"])
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


@noun.route("GET", "/favicon.ico", role="public", summary="The icon")
def favicon() -> ResponseReturnValue:
    """Browsers ask for it by themselves."""
    return redirect(asset("favicon.svg"), 302)


@noun.route("GET", "/static/<path:name>", role="public", summary="A file of the dashboard")
def static_file(name: str) -> ResponseReturnValue:
    """Serve a file."""
    if name == plotly_address().rpartition("/")[2]:
        return _plotly()
    found = safe_join(str(STATIC), name)
    path = Path(found) if found is not None else None
    if path is None or path.suffix not in _SERVED or not path.is_file() or path.is_symlink():
        raise not_found("the file")
    response = send_file(path, mimetype=_SERVED[path.suffix], conditional=True, etag=_digest(path))
    versioned = request.args.get("v") == _digest(path)
    response.headers["Cache-Control"] = FOREVER if versioned else REVALIDATE
    return response


def asset(name: str) -> str:
    """The address of a static file with its content's hash, to be kept for ever."""
    path, address = STATIC / name, f"{request.script_root}/static/{name}"
    return f"{address}?v={_digest(path)}" if path.is_file() else address


def import_map() -> dict[str, dict[str, str]]:
    """Every module of the dashboard by its plain name: `components/chart.js`, and the vendored ones likewise.

    A module's own imports name others by these, so that each is loaded by the address with its hash.
    """
    names = [path.relative_to(STATIC).as_posix() for path in sorted(STATIC.rglob("*.js"))]
    modules = {f"{request.script_root}/static/{name}": asset(name) for name in names}
    vendor = STATIC / "vendor" / "imports.json"
    named = json.loads(vendor.read_text()) if vendor.is_file() else {}
    return {"imports": modules | {name: asset(target) for name, target in named.items()}}


_digests: dict[Path, tuple[int, int, str]] = {}


def _digest(path: Path) -> str:
    stat = path.stat()
    known = _digests.get(path)
    if known is None or known[:2] != (stat.st_mtime_ns, stat.st_size):
        content = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        known = (stat.st_mtime_ns, stat.st_size, content)
        _digests[path] = known
    return known[2]


@lru_cache(maxsize=1)
def _plotly_file() -> tuple[Path, str]:
    """Plotly.js in the installed plotly package, found without importing it, and its version."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise not_found("Plotly.js (is the plotly package installed?)")
    path = Path(next(iter(spec.submodule_search_locations))) / "package_data" / "plotly.min.js"
    with path.open("rb") as file:
        found = _PLOTLY_VERSION.search(file.read(400))
    return path, found[1].decode() if found else hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def plotly_address() -> str:
    """Where the page finds Plotly.js; a new version has a new address."""
    return f"{request.script_root}/static/plotly-{_plotly_file()[1]}.min.js"


@lru_cache(maxsize=1)
def unwanted_styles() -> tuple[str, ...]:
    """Ids under which Plotly.js would add the style sheets of its maps.

    An element with such an id keeps it from that: maps are not used, and the Content-Security-Policy
    would refuse the sheets with an error in every console.
    """
    return tuple(sorted(set(_STYLE_ID.findall(_plotly_file()[0].read_text("utf-8")))))


@lru_cache(maxsize=1)
def _plotly_gzip() -> bytes:
    return gzip.compress(_plotly_file()[0].read_bytes(), 6, mtime=0)


def _plotly() -> Response:
    headers = {
        "Content-Type": "text/javascript; charset=utf-8",
        "Cache-Control": FOREVER,
        "Vary": "Accept-Encoding",
        "Cross-Origin-Resource-Policy": "cross-origin",  # the sandboxed frame of a figure has no origin
    }
    if request.accept_encodings["gzip"] > 0:
        with _lock:
            body = _plotly_gzip()
        return Response(body, 200, {**headers, "Content-Encoding": "gzip"})
    return Response(_plotly_file()[0].read_bytes(), 200, headers)
