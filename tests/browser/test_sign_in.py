"""Signing in by the printed link, and what a stranger sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page, expect


def test_the_printed_link_signs_in(browser: Browser, server: Any) -> None:
    """The link leads to the runs, and its code stays neither in the address nor in the history."""
    page = browser.new_page()
    page.goto(server.link)
    expect(page.get_by_role("heading", name="No run yet")).to_be_visible()
    assert page.url == f"{server.url}/"
    expect(page.get_by_role("status").get_by_text("live")).to_be_visible()
    page.close()


def test_a_stranger_is_told_how_to_get_a_link(open_page: Callable[..., Page]) -> None:
    """Without a session every page leads to the sign-in page, which names the command."""
    page = open_page("/", signed_in=False)
    expect(page.get_by_text("deepevent token link")).to_be_visible()


def test_signing_in_goes_on_to_the_wanted_page(open_page: Callable[..., Page], server: Any) -> None:
    """A link to a page works for whoever has to sign in first."""
    code = server.call("POST", "/api/v1/session/codes").json()["code"]
    page = open_page("/settings?theme=x", signed_in=False)
    page.get_by_label("Link or code").fill(f"{server.url}/signin#{code}")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert page.url == f"{server.url}/settings?theme=x"


def test_a_used_code_is_refused_with_a_reason(open_page: Callable[..., Page]) -> None:
    """The server's own sentence is shown, and another code can be typed."""
    page = open_page("/signin#not-a-code", signed_in=False)
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    expect(page.get_by_label("Link or code")).to_be_focused()


def test_signing_out_ends_the_session(open_page: Callable[..., Page], server: Any) -> None:
    """After signing out the runs are closed again."""
    page = open_page("/settings")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("deepevent token link")).to_be_visible()
    page.goto(f"{server.url}/")
    expect(page.get_by_text("deepevent token link")).to_be_visible()


def test_signing_out_leads_every_page_of_the_session_to_sign_in(open_page: Callable[..., Page]) -> None:
    """Another page of the same session is told by the socket, and does not try to reconnect."""
    one, other = open_page("/settings"), open_page("/")
    expect(other.get_by_role("status").get_by_text("live")).to_be_visible()
    one.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/signin**")
