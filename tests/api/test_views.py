"""Saved views: a name and an address of the dashboard; operators change them, viewers read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def call(shared_server: Any) -> Callable[..., Any]:
    """Requests with the operator's token."""

    def send(method: str, path: str, **options: Any) -> Any:
        return shared_server.call(method, f"/api/v1/views{path}", **options)

    return send


def test_a_view_is_saved_changed_and_deleted(call: Callable[..., Any]) -> None:
    """What is saved comes back as it was, under its own id and in the list."""
    address = "/compare?runs=01m86zzzzz0000000000000000&smooth=mean%3A25"
    made = call("POST", "", json={"name": "seeds of det12", "address": address})
    assert made.status_code == 201, made.text
    view = made.json()
    assert (view["name"], view["address"]) == ("seeds of det12", address)
    path = f"/{view['id']}"
    assert call("GET", path).json() == view
    assert view in call("GET", "").json()["views"]
    changed = call("PATCH", path, json={"name": "renamed"}).json()
    assert (changed["name"], changed["address"]) == ("renamed", address)
    assert call("PATCH", path, json={"address": "/?filter=a"}).json()["address"] == "/?filter=a"
    assert call("DELETE", path).status_code == 204
    assert call("GET", path).status_code == 404
    assert call("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/compare",
        "/compare\\@evil.example",
        "javascript:alert(1)",
        "/api/v1/runs",
        "/signin",
        "compare",
        "/compare?a=\n",
        "",
        "/compare?" + "a" * 20_000,
        7,
        None,
    ],
)
def test_an_address_leads_nowhere_else(call: Callable[..., Any], address: object) -> None:
    """Only paths of the dashboard are taken; the answer names the field."""
    answer = call("POST", "", json={"name": "bad", "address": address})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "address"


def test_a_view_needs_a_name_and_something_to_change(call: Callable[..., Any]) -> None:
    """An empty name, an unknown field and a change of nothing are refused."""
    assert call("POST", "", json={"name": " ", "address": "/"}).status_code == 422
    assert call("POST", "", json={"name": None, "address": "/"}).status_code == 422
    assert call("POST", "", json={}).status_code == 422
    assert call("POST", "", json={"name": "a", "address": "/", "more": 1}).status_code == 422
    view = call("POST", "", json={"name": "a", "address": "/"}).json()
    assert call("PATCH", f"/{view['id']}", json={}).status_code == 422
    assert call("PATCH", f"/{view['id']}", json={"name": None}).status_code == 422
    assert call("GET", "/nothing").status_code == 404
