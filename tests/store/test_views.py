"""Saved views on both databases."""

from __future__ import annotations

import pytest

from deepevent.errors import SettingsError, ViewNotFound
from deepevent.store import views


def test_views_are_kept_by_name(db, monkeypatch):
    """Made, listed by name without regard to case, changed and deleted; a missing one says so."""
    second = views.create_view(db, "seeds", "/compare?runs=a", "ann")
    first = views.create_view(db, "Best of May", "/?filter=b", "ann")
    assert views.list_views(db) == [first, second]
    changed = views.update_view(db, second["id"], name="a")
    assert changed["changed"] >= second["changed"]
    assert changed == {**second, "name": "a", "changed": changed["changed"]}
    assert views.update_view(db, second["id"], address="/jobs")["address"] == "/jobs"
    views.delete_view(db, second["id"])
    assert views.list_views(db) == [first]
    for missing in (
        lambda: views.get_view(db, second["id"]),
        lambda: views.update_view(db, second["id"], name="b"),
        lambda: views.delete_view(db, second["id"]),
    ):
        with pytest.raises(ViewNotFound):
            missing()
    monkeypatch.setattr(views, "VIEWS_LIMIT", 1)
    for name, address in (("", "/"), ("a", ""), ("one too many", "/")):
        with pytest.raises(SettingsError):
            views.create_view(db, name, address, "ann")
