"""Alert rules and webhooks on both databases: told once, of what comes after, and nothing forgotten."""

from __future__ import annotations

import math
import time

import pytest

from deepevent.errors import AlertRuleNotFound, SettingsError, WebhookNotFound
from deepevent.store import alerts, deletion, runs, webhooks
from deepevent.store.media import list_alerts


def titles(db, run):
    return [alert["title"] for alert in list_alerts(db, run.run)]


def test_a_rule_speaks_once_of_what_comes_after_it(db, committer, script):
    """A NaN from before the rule is no news; a later one is, once, in the rule's project only."""
    old, new, other = script(), script(), script()
    committer.submit(old.start(name="old", project="p").log({"loss": math.nan}, 0).batch())
    rule = alerts.create_rule(db, "non_finite", actor="ann", project="p", level="error")
    committer.submit(new.start(name="new", project="p").log({"loss": 1.0}, 0).batch())
    assert alerts.look(db) == 0
    committer.submit(new.log({"loss": math.nan, "x": math.inf}, 1).batch())
    committer.submit(other.start(name="other", project="q").log({"loss": math.nan}, 0).batch())
    assert alerts.look(db) == 1
    assert titles(db, new) == ["loss of new is not finite"]
    assert list_alerts(db, new.run)[0]["level"] == "error"
    committer.submit(new.log({"loss": math.nan}, 2).batch())
    assert alerts.look(db) == 0
    assert titles(db, old) == titles(db, other) == []
    alerts.delete_rule(db, rule["id"], "ann")
    assert alerts.list_rules(db) == []
    with pytest.raises(AlertRuleNotFound):
        alerts.delete_rule(db, rule["id"], "ann")


def test_a_value_above_its_bound_is_told(db, committer, script):
    """At the bound nothing is said, above it and for +Inf something is."""
    alerts.create_rule(db, "above", actor="ann", metric="loss", bound=10.0)
    calm, wild, infinite = script(), script(), script()
    committer.submit(calm.start(name="calm").log({"loss": 10.0, "other": 99.0}, 0).batch())
    committer.submit(wild.start(name="wild").log({"loss": 10.5}, 7).batch())
    committer.submit(infinite.start(name="infinite").log({"loss": math.inf}, 0).batch())
    assert alerts.look(db) == 2
    assert titles(db, calm) == []
    [told] = list_alerts(db, wild.run)
    assert (told["title"], told["text"]) == ("loss of wild is above 10", "Highest so far: 10.5 at step 7.")
    assert "+Inf" in list_alerts(db, infinite.run)[0]["text"]


@pytest.mark.parametrize(
    ("goal", "values", "stalled"),
    [
        ("min", [3.0, 2.0, 2.5, 2.4, 2.6], True),
        ("min", [3.0, 2.0, 2.5, 2.4, 1.9], False),
        ("min", [3.0, 2.0, 2.5, 2.4], False),
        ("max", [0.1, 0.9, 0.8, math.nan, 0.9], True),
        ("max", [0.1, 0.2, 0.3, 0.4, 0.5], False),
    ],
)
def test_no_progress_is_told_after_its_patience(db, committer, script, goal, values, stalled):
    """Three values that are no better than the best one: equal is no progress, and neither is NaN."""
    alerts.create_rule(db, "stalled", actor="ann", metric="val", patience=3, goal=goal)
    run = script().start(name="r")
    for step, value in enumerate(values):
        committer.submit(run.log({"val": value}, step).batch())
    assert alerts.look(db) == int(stalled)


def test_lost_and_ended_runs_are_told(db, committer, script):
    """A run without a heartbeat, and one that has failed."""
    alerts.create_rule(db, "lost", actor="ann")
    alerts.create_rule(db, "finished", actor="ann", level="info")
    silent, failed = script(), script()
    committer.submit(silent.start(name="silent").batch())
    committer.submit(failed.start(name="failed").event("finish", status="failed", time=1.0).batch())
    assert alerts.look(db) == 1
    runs.mark_lost(db, time.time() + 3600)
    assert alerts.look(db) == 1
    assert titles(db, silent) == ["silent is lost"]
    assert titles(db, failed) == ["failed has failed"]
    newest = alerts.list_newest(db, 10)
    assert [alert["run_name"] for alert in newest] == ["silent", "failed"]
    assert alerts.list_newest(db, 10, before=newest[0]["id"]) == newest[1:]


def test_what_is_missing_in_a_rule_is_named(db):
    """Each kind says what it needs; nothing is stored."""
    for kind, given, words in (
        ("above", {}, "needs metric; 'above' needs bound"),
        ("above", {"metric": "a", "bound": math.inf}, "finite number"),
        ("stalled", {"metric": "a", "patience": 0, "goal": "up"}, "patience between 1 .* needs goal"),
        ("sometimes", {}, "kind must be one of"),
        ("lost", {"level": "loud"}, "level must be one of"),
    ):
        with pytest.raises(SettingsError, match=words):
            alerts.create_rule(db, kind, actor="ann", **given)
    assert alerts.list_rules(db) == []


def test_alerts_become_deliveries_that_are_retried(db, committer, script):
    """Those after the webhook and of its project, tried again ever later, then given up."""
    run, other = script().start(name="r", project="p"), script().start(name="o", project="q")
    alert = {"title": "t", "text": "x", "level": "info", "time": 1.0}
    committer.submit(run.event("alert", **alert).batch())
    hook = webhooks.create_webhook(db, "https://example.org/hook", actor="ann", project="p")
    committer.submit(run.event("alert", **alert | {"title": "second"}).batch())
    committer.submit(other.event("alert", **alert).batch())
    webhooks.queue(db)
    webhooks.queue(db)
    [row] = webhooks.due(db)
    assert (row["alert_title"], row["secret"], row["run_name"]) == ("second", hook["secret"], "r")
    for attempt, wait_s in enumerate(webhooks.RETRY_AFTER_S):
        webhooks.settle(db, row["delivery"], attempt, "500 no", taken=False)
        assert webhooks.due(db) == []
        assert len(webhooks.due(db, time.time() + wait_s + 1)) == 1
    webhooks.settle(db, row["delivery"], len(webhooks.RETRY_AFTER_S), "500 no", taken=False)
    assert webhooks.due(db, time.time() + 1e6) == []
    [listed] = webhooks.list_webhooks(db)
    assert "secret" not in listed
    assert (listed["last"]["state"], listed["last"]["answer"]) == ("failed", "500 no")
    deletion.delete_run(db, run.run)
    assert webhooks.list_webhooks(db)[0]["last"] is None
    webhooks.delete_webhook(db, hook["id"], "ann")
    with pytest.raises(WebhookNotFound):
        webhooks.delete_webhook(db, hook["id"], "ann")


@pytest.mark.parametrize(
    "address", ["ftp://a/", "https://", "//a", "https://me:pw@a/", "https://a b/", "http://a\n/"]
)
def test_an_address_that_alerts_are_not_sent_to_is_refused(db, address):
    """Only plain http and https addresses, and none that would show a password."""
    with pytest.raises(SettingsError, match="url must"):
        webhooks.create_webhook(db, address, actor="ann")
