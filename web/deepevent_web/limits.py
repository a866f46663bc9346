"""All that one client can make the server hold, read or do: one table, with the answer beyond each line.

`LIMITS` has the values that the code is written for; a server may be started with others where `adjustable`
says so (`deepevent serve --limit NAME=VALUE`). docs/security.md shows the same table, and a test compares
the two. Limits of the batch format and of events lie with them, in `deepevent/`, and are named here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from deepevent import wire
from deepevent.errors import SettingsError
from deepevent.store import events, ingest

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MOST = 10**9


def _limit(value: int, answer: str, meaning: str, *, adjustable: bool = False) -> Any:
    return field(default=value, metadata={"answer": answer, "meaning": meaning, "adjustable": adjustable})


@dataclass(frozen=True)
class Limits:
    """The limits of one server; what each one means stands beside it."""

    # sizes
    head_bytes: int = _limit(8190, "414, 431", "the request line; a header line")
    header_lines: int = _limit(64, "431", "header lines of a request")
    json_bytes: int = _limit(MIB, "413", "a JSON body, where the route names no other limit")
    event_bytes: int = _limit(4 * MIB, "413", "the JSON body of POST /events")
    batch_bytes: int = _limit(wire.BATCH_BODY_LIMIT, "413, 422", "a batch's records, inflated")
    blob_bytes: int = _limit(5 * GIB, "413", "a file, written to disk as it comes")
    image_bytes: int = _limit(10 * MIB, "422", "a file that is shown as an image")
    image_pixels: int = _limit(16_000_000, "422", "width by height of an image that is shown")
    image_frames: int = _limit(200, "422", "frames of an animation that is shown")
    message_bytes: int = _limit(64_000, "the socket closes", "a message of a page's socket, inflated")
    json_depth: int = _limit(32, "400", "lists and objects inside one another")
    name_characters: int = _limit(250, "422", "a name, tag or metric's name")
    text_characters: int = _limit(events.TEXT_LIMIT, "422; cut in events", "a note, a line of a log, a text")
    config_characters: int = _limit(events.CONFIG_LIMIT, "422; an alert", "a run's config or summary as JSON")
    # counts
    events_per_request: int = _limit(2000, "422", "events in one POST /events")
    queries_per_request: int = _limit(1000, "422", "curves in one POST /curves")
    runs_compared: int = _limit(100, "422", "runs in one GET /compare")
    page_rows: int = _limit(200, "422", "runs, jobs or audit lines on one page of a list")
    filter_characters: int = _limit(4000, "422", "a filter, with at most 200 comparisons, 40 deep")
    metrics_per_run: int = _limit(
        ingest.METRIC_LIMIT,
        "an alert on the run",
        "metrics of one run; points of further names are left out and the run says so",
    )
    # rates and shares
    head_and_body_s: int = _limit(15, "408", "the time for a head, and for a body plus 1 s per 64 KiB")
    query_ms: int = _limit(5000, "503", "the time that a question to the database may take", adjustable=True)
    answer_stall_s: int = _limit(30, "the connection closes", "the time without a byte of an answer read")
    connections_per_address: int = _limit(
        64,
        "429",
        "connections of one address being read or answered; not pages' sockets, nor trusted proxies",
        adjustable=True,
    )
    requests_at_once: int = _limit(
        32, "429", "requests of one token that are being answered, agents apart", adjustable=True
    )
    waiting_bytes: int = _limit(
        64 * MIB, "429", "batches of one token that wait for their commit", adjustable=True
    )
    bytes_per_second: int = _limit(
        64 * MIB, "429", "batches of one token, inflated, in the long run", adjustable=True
    )
    requests_per_second: int = _limit(
        2000, "429", "requests that log, of one token, in the long run", adjustable=True
    )
    runs_per_minute: int = _limit(
        600, "429", "new runs and writers of one token; 5 minutes' worth at once", adjustable=True
    )
    names_per_minute: int = _limit(
        10_000, "429", "new metrics of one token; 5 minutes' worth at once", adjustable=True
    )
    wrong_codes: int = _limit(
        10, "429", "wrong sign-in codes from one address; then two a minute", adjustable=True
    )
    wrong_tokens_per_minute: int = _limit(
        100, "429", "requests with a wrong token from one address; a right one still gets in", adjustable=True
    )
    sockets: int = _limit(100, "429", "pages that are open at once (--viewers)")
    sockets_per_address: int = _limit(40, "429", "the same from one address (--viewers-per-address)")
    messages_per_second: int = _limit(50, "the socket closes", "messages of one page; 200 at once")


LIMITS = Limits()


def adjusted(changes: Iterable[str]) -> Limits:
    """The limits with the changes of the command line, each NAME=VALUE.

    Raises:
        SettingsError: no such limit, or a value that is none, each change named.
    """
    names = {one.name for one in dataclasses.fields(Limits) if one.metadata["adjustable"]}
    wanted: dict[str, int] = {}
    wrong = []
    for change in changes:
        name, _, text = change.partition("=")
        if name not in names:
            wrong.append(f"--limit knows {', '.join(sorted(names))}, got {name!r}")
        elif not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
            wrong.append(f"--limit {name} must be a whole number from 1 to {MOST}, got {text!r}")
        else:
            wanted[name] = int(text)
    if wrong:
        raise SettingsError("; ".join(wrong))
    return dataclasses.replace(LIMITS, **wanted)
