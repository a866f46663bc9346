"""What whoever runs the server can see of it: figures, request ids, log lines without secrets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests

import deepevent

SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+)\Z")


def _samples(text: str) -> dict[str, float]:
    """Every sample by its name and labels, less the process."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"# (HELP|TYPE) deepevent_[a-z_]+ \S", line), line
            continue
        match = SAMPLE.match(line)
        assert match, line
        labels = [one for one in (match[2] or "").split(",") if one and not one.startswith("process=")]
        name = match[1].removeprefix("deepevent_") + (f"{{{','.join(labels)}}}" if labels else "")
        found[name] = float(match[3])
    return found


def test_the_figures_tell_what_was_taken(server: Any) -> None:
    """Batches, records, times and requests are counted; histograms add up."""
    with deepevent.start(name="figures") as run:
        for step in range(100):
            run.log({"loss": 1.0}, step=step)
        run.flush(timeout=60)
    server.call("POST", "/api/v1/events", json={"events": []})
    found = _samples(server.call("GET", "/metrics").text)
    assert found["revision"] >= 1
    assert found["ingest_records_total"] > 100
    assert found["ingest_batches_total"] == found["ingest_lag_seconds_count"]
    assert found['ingest_lag_seconds_bucket{le="+Inf"}'] == found["ingest_lag_seconds_count"]
    assert 0 < found["commit_seconds_sum"] <= found["ingest_lag_seconds_sum"]
    buckets = [value for name, value in found.items() if name.startswith("commit_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert found['requests_total{method="POST",status="422"}'] == 1
    assert found["ingest_queue_batches"] == found["ingest_queue_bytes"] == 0
    assert found["watchers"] == found["pages_dropped_total"] == 0 <= found["live_lag_revisions"]
    assert found["memory_bytes"] > 1e6


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a-1.B:c/d", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ('a"b', False), ("", False)],
)
def test_a_request_s_id_comes_back(shared_server: Any, given: str, kept: bool) -> None:
    """The caller's own if it is short and plain, else a fresh one; refusals have one too."""
    for path in ("/healthz", "/api/v1/nothing"):
        answer = requests.get(f"{shared_server.url}{path}", headers={"X-Request-ID": given}, timeout=30)
        if kept:
            assert answer.headers["X-Request-ID"] == given
        else:
            assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])


def test_json_lines_tell_each_request_and_no_secret(start_server: Any) -> None:
    """Who asked for what, with the id that the answer had; tokens are blotted out wherever they stand."""
    server = start_server("--log-format", "json")
    session = server.sign_in()
    secrets = [server.token, server.code, session.cookies["deepevent_session"]]
    for secret in secrets:
        for answer in (
            requests.get(f"{server.url}/api/v1/runs/{secret}?filter={secret}", timeout=30),
            server.call("GET", f"/api/v1/{secret}", headers={"X-Request-ID": "mine-1"}),
            requests.get(f"{server.url}/{secret}", headers={"Authorization": f"Bearer {secret}"}, timeout=30),
        ):
            assert answer.status_code >= 400
    server.stop()
    text = server.log.read_text()
    assert not [secret for secret in secrets if secret in text]
    lines = [json.loads(line) for line in text.splitlines()]
    mine = [line for line in lines if line.get("request") == "mine-1" and "status" in line]
    assert len(mine) == len(secrets)
    assert mine[0] | {"method": "GET", "status": 404, "role": "operator", "level": "info"} == mine[0]
    assert mine[0]["path"] == "/api/v1/[secret]" and mine[0]["ms"] >= 0 and mine[0]["who"]
    refused = [line for line in lines if line["logger"] == "deepevent_web.security"]
    assert refused and all(line["request"] for line in refused)
