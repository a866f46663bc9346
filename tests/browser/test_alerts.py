"""Alerts on the page: a rule made in Settings, its alert live, a notification, a webhook's secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

NOTIFICATIONS = """
globalThis.told = [];
globalThis.Notification = class {
  static permission = "default";
  static async requestPermission() { return (this.permission = "granted"); }
  constructor(title, options) { globalThis.told.push([title, options.body]); }
};
"""


def test_a_rule_made_on_the_page_raises_an_alert(server: Any, open_page: Callable[..., Page]) -> None:
    """The form asks for what the kind needs; the alert comes without a reload, is new, and then seen."""
    page = open_page("/settings")
    page.add_init_script(NOTIFICATIONS)
    page.reload()
    rules = page.locator("section", has=page.get_by_role("heading", name="Alert rules"))
    rules.get_by_label("When").select_option("above")
    rules.get_by_role("textbox", name="Metric").fill("train/loss")
    rules.get_by_role("spinbutton", name="Bound").fill("100")
    rules.get_by_label("Level").select_option("error")
    rules.get_by_role("button", name="Add rule").click()
    expect(rules.locator("li")).to_contain_text("train/loss is above 100")
    page.get_by_label("Notify me of alerts").check()
    expect(page.get_by_label("Notify me of alerts")).to_be_checked()
    events = [{"metrics": {"train/loss": 1e6}, "step": 1}]
    answer = server.call("POST", "/api/v1/events", json={"name": "wild", "events": events})
    assert answer.status_code == 200, answer.text
    button = page.get_by_role("button", name="Alerts, 1 new")
    expect(button).to_be_visible(timeout=30_000)
    assert page.evaluate("told") == [["train/loss of wild is above 100", "Highest so far: 1e+06 at step 1."]]
    button.click()
    entry = page.locator(".alert-entry.error")
    expect(entry).to_contain_text("train/loss of wild is above 100")
    expect(page.get_by_role("button", name="Alerts", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Alerts", exact=True)).to_be_visible()
    rules.get_by_role("button", name="Delete the rule").click()
    expect(rules.locator("li")).to_have_count(0)


def test_a_webhook_shows_its_secret_once(server: Any, open_page: Callable[..., Page]) -> None:
    """The secret stands there after making it, and no more after a reload; a wrong address is explained."""
    page = open_page("/settings")
    hooks = page.locator("section", has=page.get_by_role("heading", name="Webhooks"))
    hooks.get_by_label("Address").fill("https://me:secret@example.org/hook")
    hooks.get_by_role("button", name="Add webhook").click()
    expect(hooks.get_by_role("alert")).to_contain_text("must not hold a user or a password")
    hooks.get_by_label("Address").fill("https://example.org/hook")
    hooks.get_by_role("button", name="Add webhook").click()
    expect(hooks).to_contain_text("shown this once")
    expect(hooks.locator("li")).to_contain_text("nothing sent yet")
    page.reload()
    expect(hooks.locator("li")).to_contain_text("https://example.org/hook")
    expect(hooks).not_to_contain_text("shown this once")
    hooks.get_by_role("button", name="Delete the webhook").click()
    expect(hooks.locator("li")).to_have_count(0)
