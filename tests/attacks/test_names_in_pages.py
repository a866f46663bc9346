"""D: names, texts and files that want to run in the browser of whoever looks at them; a real Chromium."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from deepevent import wire
from deepevent.ids import new_id

pytestmark = pytest.mark.usefixtures("unharmed")

SCRIPTS = [
    "<script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "<svg onload=pwned=1>",
    "</script><script>pwned=1</script>",
    "{{7*7}}${7*7}",
    "javascript:pwned=1//",
    '"><b onmouseover=pwned=1>x</b>',
    '<a href="https://evil.example/">link</a>',
    "%{x} %{y:.2f} <extra></extra>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
]
HOSTILE = "\n".join(SCRIPTS)
MARKDOWN = "# x\n[x](javascript:pwned=1) ![x](https://evil.example/x.png) <img src=x onerror=pwned=1>"
TURNED = "a\u202etxt.exe"
PATIENCE_MS = 30_000


@pytest.fixture
def look(browser: Browser, target: Any) -> Iterator[Callable[[str], Page]]:
    """Open a signed-in page; whatever it runs, opens or asks elsewhere fails the test."""
    code = target.call("POST", "/api/v1/session/codes").json()["code"]
    cookies = target.sign_in(code).cookies
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies([{"name": c.name, "value": str(c.value), "url": target.url} for c in cookies])
    page = context.new_page()
    happened: list[str] = []
    page.on("dialog", lambda dialog: (happened.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("popup", lambda popup: happened.append(f"window {popup.url}"))
    page.on("request", lambda sent: happened.append(sent.url) if "evil" in sent.url else None)
    page.on("console", lambda said: happened.append(said.text) if "Security Policy" in said.text else None)

    def open_one(path: str) -> Page:
        page.goto(target.url + path)
        return page

    open_one.happened = happened  # type: ignore[attr-defined]
    yield open_one
    assert page.evaluate("typeof pwned") == "undefined"
    assert happened == []
    context.close()


def _is_text(page: Page, wanted: str = "") -> None:
    """Nothing of what was logged has become an element, but for plain links in notes that say so."""
    if wanted:
        page.wait_for_function("(text) => document.body.innerText.includes(text)", arg=wanted)
    found = page.evaluate(
        """() => [
          ...document.querySelectorAll("iframe, object, embed, [onerror], [onload], [onmouseover]"),
          ...[...document.querySelectorAll("a")].filter((link) =>
            ["href", "xlink:href"].some((name) => /evil|javascript:/i.test(link.getAttribute(name) || "")) &&
            !(link.protocol === "https:" && link.closest(".markdown") &&
              link.rel === "noopener noreferrer nofollow")),
          ...[...document.images].filter((image) => /evil|^x$/.test(image.getAttribute("src") || "")),
        ].map((element) => element.outerHTML)"""
    )
    assert found == []


@pytest.fixture(scope="module")
def hostile_run(target: Any) -> str:
    """A run whose every text is hostile."""
    run = new_id()
    image = b"<script>pwned=1</script>"
    digest = hashlib.sha256(image).hexdigest()
    target.call("PUT", f"/api/v1/blobs/{digest}", data=image)
    events: list[dict[str, Any]] = [
        {"metrics": dict.fromkeys(SCRIPTS, 1.0), "step": 0},
        {"metrics": dict.fromkeys(SCRIPTS, 2.0), "step": 1},
        {"type": "config", "values": {text: text for text in SCRIPTS}},
        {"type": "summary", "values": {text: text for text in SCRIPTS}},
        {"type": "environment", "values": {"git": {"message": HOSTILE}, "command": HOSTILE}},
        {"type": "tags", "tags": [text[:250] for text in SCRIPTS]},
        {"type": "notes", "notes": f"{HOSTILE}\n{MARKDOWN}"},
        {"type": "log", "stream": "stderr", "text": f"\x1b]0;title\x07\x1b[31m{HOSTILE}"},
        {"type": "alert", "title": SCRIPTS[0], "text": HOSTILE, "level": "error"},
        {"type": "artifact", "name": SCRIPTS[1], "kind": SCRIPTS[2], "blob": digest, "size_bytes": 24},
        {"type": "media", "kind": "text", "name": SCRIPTS[0], "step": 0, "data": {"text": MARKDOWN}},
        {
            "type": "media",
            "kind": "table",
            "name": SCRIPTS[1],
            "step": 0,
            "data": {"columns": SCRIPTS[:2], "rows": [SCRIPTS[:2], [HOSTILE, MARKDOWN]]},
        },
        {
            "type": "media",
            "kind": "image",
            "name": SCRIPTS[2],
            "step": 0,
            "blob": digest,
            "mime": "image/svg+xml",
            "data": {"caption": HOSTILE},
        },
        {"type": "finish", "status": "failed", "traceback": HOSTILE},
    ]
    answer = target.call(
        "POST",
        "/api/v1/events",
        json={"name": SCRIPTS[0], "project": SCRIPTS[1], "events": events},
        headers={"Idempotency-Key": f"{run}:1"},
    )
    assert answer.status_code == 200, answer.text
    return run


@pytest.mark.parametrize("tab", ["", "overview", "media", "logs", "system"])
def test_a_hostile_run_is_shown_as_text(look: Callable[[str], Page], hostile_run: str, tab: str) -> None:
    """D1, D2, D4, D7: names, config, notes, log, traceback and charts of the run show what was logged."""
    page = look(f"/runs/{hostile_run}" + (f"?tab={tab}" if tab else ""))
    _is_text(page, SCRIPTS[0])
    if not tab:
        page.locator(".js-plotly-plot").first.wait_for()
        _is_text(page)
        assert (
            page.evaluate("document.querySelectorAll('.js-plotly-plot b, .js-plotly-plot a[href]').length")
            == 0
        )


def test_a_hostile_run_is_text_in_every_list(
    look: Callable[[str], Page], hostile_run: str, target: Any
) -> None:
    """D1: the run table, the comparison, the jobs and the audit log show it as text too."""
    other = target.call("POST", "/api/v1/runs", json={"name": SCRIPTS[6], "config": {"a": HOSTILE}}).json()[
        "id"
    ]
    target.call("PATCH", f"/api/v1/runs/{other}", json={"notes": HOSTILE})
    target.call("POST", "/api/v1/jobs", json={"command": ["echo", HOSTILE], "name": SCRIPTS[0]})
    _is_text(look("/"), SCRIPTS[0])
    _is_text(look(f"/compare?runs={hostile_run},{other}"), SCRIPTS[0])
    _is_text(look("/jobs"), SCRIPTS[0])
    _is_text(look("/settings"), "runs.update")
    page = look("/?filter=" + "%3Cimg%20src%3Dx%20onerror%3Dpwned%3D1%3E")
    _is_text(page)


HEAVY = {
    "quotes": ">" * 60_000,
    "brackets": "[" * 60_000,
    "links that never close": "[x](" * 15_000,
    "stars": "**a " * 15_000,
    "backticks": "`" * 60_001,
    "a heading of spaces": "# " + " " * 60_000 + "x",
    "a rule that is none": "a|b\n" + "-" + " " * 60_000 + "x",
    "lists": "\n".join(" " * n + "- x" for n in range(330)),
}


@pytest.mark.parametrize("name", HEAVY)
def test_notes_do_not_stop_the_page(
    look: Callable[[str], Page], new_run: Callable[..., str], operator: Any, name: str
) -> None:
    """D7, G3: Markdown that nests or never closes is drawn like any other, and the page goes on."""
    run = new_run(name="heavy")
    assert operator.call("PATCH", f"/runs/{run}", json={"notes": HEAVY[name]}).status_code == 200
    page = look(f"/runs/{run}?tab=overview")
    expect(page.locator(".markdown").first).to_be_attached()
    expect(page.get_by_role("heading", name="heavy")).to_be_visible()


def test_a_name_that_turns_the_line_round_stays_in_its_place(
    look: Callable[[str], Page], target: Any, operator: Any
) -> None:
    """D5: marks of direction are refused where people write names, and isolated where scripts do."""
    assert operator.call("POST", "/runs", json={"name": TURNED}).status_code == 422
    run = new_id()
    body = wire.build_event(1, {"type": "run", "name": TURNED, "created": 1.0})
    batch = wire.encode(wire.build_batch(run, run, 1, [body]))
    sent = operator.call("POST", "/ingest", data=batch, headers={"Content-Type": wire.CONTENT_TYPE})
    assert sent.status_code == 200
    page = look(f"/runs/{run}")
    name = page.get_by_role("heading", name="txt.exe")
    expect(name).to_be_visible()
    assert page.evaluate("document.querySelectorAll('h1 bdi, h1.name').length") >= 1


@pytest.mark.parametrize("bad", ["a\0b", "a\nb", "a\rb", "\x1b]0;x\x07", "x" * 251, "\x7f", "\u2028", ""])
def test_names_are_one_line_of_plain_letters(operator: Any, bad: str) -> None:
    """D3, D5: control characters and names beyond 250 characters are refused, on every way in."""
    assert operator.call("POST", "/runs", json={"name": bad}).status_code in (400, 422)
    assert operator.events({"metrics": {bad: 1.0}}).status_code in (400, 422)
    if bad and bad != "\u2028":  # a separator is no control character to the store: pages isolate names
        run = new_id()
        records = [wire.build_event(1, {"type": "run", "name": bad, "created": 1.0})]
        body = wire.encode(wire.build_batch(run, run, 1, records))
        headers = {"Content-Type": wire.CONTENT_TYPE}
        assert operator.call("POST", "/ingest", data=body, headers=headers).status_code == 422


def test_nothing_hostile_reaches_the_log(target: Any, operator: Any) -> None:
    """D5: what a client sends cannot write lines of its own into the server's log."""
    for text in ("%0d%0a2026%20ERROR%20forged", "%1b%5b2J", "%9b31m", "%u202e"):
        operator.call("GET", f"/runs/{text}")
        operator.call("GET", "/runs", headers={"Origin": f"http://{text}"})
        operator.events({"type": "log", "stream": "stdout", "text": text})
    log = target.log.read_text()
    assert "\x1b" not in log
    assert not any(line.startswith("2026 ERROR forged") for line in log.splitlines())


def test_the_policy_stops_what_a_hole_would_let_in(look: Any) -> None:
    """F10, D1: even markup that got into a page would not run, and could not call home."""
    page = look("/settings")
    page.wait_for_function("document.querySelector('h1')")
    page.evaluate(
        """() => {
          window.stopped = [];
          document.addEventListener("securitypolicyviolation", (e) => stopped.push(e.effectiveDirective));
          const box = document.createElement("div");
          document.body.append(box);
          box.innerHTML = '<img src="data:," onerror="window.ran=1">';
          const script = document.createElement("script");
          script.textContent = "window.ran = 1";
          box.append(script);
          setTimeout("window.ran = 1", 0);
          fetch("http://127.0.0.1:9/").catch(() => {});
        }"""
    )
    wanted = ["script-src", "script-src-attr", "script-src-elem", "connect-src"]
    page.wait_for_function("(wanted) => wanted.every((one) => window.stopped.includes(one))", arg=wanted)
    assert page.evaluate("typeof ran") == "undefined"
    look.happened.clear()


def test_an_uploaded_page_cannot_run(browser: Browser, target: Any, operator: Any) -> None:
    """E6: a browser that is led to an uploaded page downloads it, and runs nothing of it."""
    content = b"<!doctype html><script>document.title='pwned'</script>"
    digest = hashlib.sha256(content).hexdigest()
    operator.call("PUT", f"/blobs/{digest}", data=content)
    code = target.call("POST", "/api/v1/session/codes").json()["code"]
    cookies = target.sign_in(code).cookies
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies([{"name": c.name, "value": str(c.value), "url": target.url} for c in cookies])
    page = context.new_page()
    page.goto(f"{target.url}/settings")
    with page.expect_download() as download:
        page.evaluate("(address) => { location.href = address; }", f"/api/v1/blobs/{digest}")
    assert download.value.suggested_filename == digest
    assert page.title() != "pwned"
    context.close()
