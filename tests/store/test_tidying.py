"""Runs are archived, put into the trash and taken out of it, grouped, and named for completion."""

from __future__ import annotations

import math

import pytest

from deepevent.errors import FilterError, RunNotFound
from deepevent.store import changes, grouping, runs, trash, vocabulary


def ids(db, **options):
    return [run["id"] for run in runs.list_runs(db, **options).runs]


def test_the_trash_hides_a_run_and_gives_it_back_whole(db, committer, script):
    """A trashed run is in no list, still takes points, and comes back with them."""
    writer = script().start(name="kept")
    committer.submit(writer.log({"loss": 1.0}, 0).batch())
    other = runs.create_run(db, name="other")["id"]
    revision = db.revision()
    runs.update_runs(db, [(writer.run, {"trashed": True})], "anna")
    assert ids(db) == [other]
    assert (ids(db, among="trash"), ids(db, among="active")) == ([writer.run], [other])
    assert runs.get_run(db, writer.run)["trashed"]["by"] == "anna"
    assert changes.since(db, revision).runs == [writer.run]
    committer.submit(writer.log({"loss": 2.0}, 1).batch())
    assert trash.purge(db) == []
    runs.update_run(db, writer.run, trashed=False)
    assert sorted(ids(db)) == sorted([other, writer.run])
    assert runs.get_run(db, writer.run)["metrics"]["loss"]["n"] == 2


def test_what_lay_in_the_trash_for_long_is_deleted(db):
    """After the grace period a run is gone for good, and nothing else is."""
    gone, stays = (runs.create_run(db, name=name)["id"] for name in ("gone", "stays"))
    runs.update_run(db, gone, trashed=True)
    in_time = runs.get_run(db, gone)["trashed"]["time"] + trash.KEEP_S - 1
    assert trash.purge(db, now=in_time) == []
    assert trash.purge(db, now=in_time + 2) == [gone]
    with pytest.raises(RunNotFound):
        runs.get_run(db, gone)
    assert (ids(db), ids(db, among="trash")) == ([stays], [])


def test_many_changes_are_made_together_or_not_at_all(db):
    """One wrong id leaves all runs as they were; archived runs are a list of their own."""
    one, two = (runs.create_run(db, name=name, tags=["t"])["id"] for name in ("one", "two"))
    with pytest.raises(RunNotFound):
        runs.update_runs(db, [(one, {"archived": True}), ("nobody", {"archived": True})])
    assert len(ids(db, among="active")) == 2
    runs.update_runs(db, [(one, {"archived": True}), (two, {"tags": ["t", "u"]})])
    assert (ids(db, among="archived"), ids(db, among="active")) == ([one], [two])
    assert runs.get_run(db, two)["tags"] == ["t", "u"]


def test_an_offset_is_a_page_in_the_middle(db):
    """Passing over runs gives the same list as going through it page by page."""
    for number in range(7):
        runs.create_run(db, name=f"{number}")
    whole = ids(db, sort="name")
    page = runs.list_runs(db, sort="name", limit=3, offset=2)
    assert [run["id"] for run in page.runs] == whole[2:5]
    assert (page.total, runs.list_runs(db, filter='name != "0"', offset=50).total) == (7, 6)


def test_groups_have_the_mean_and_spread_of_their_runs(db, committer, script):
    """Seeds of one setting are one line; a run without the key is in a group of its own."""
    for rate, best in [(0.1, 1.0), (0.1, 3.0), (0.1, math.nan), (0.2, 5.0), (None, 7.0)]:
        writer = script().start(
            config={} if rate is None else {"lr": rate}, tags=["a", "b"] if rate == 0.2 else []
        )
        committer.submit(writer.log({"loss": best}, 0).batch())
    found = grouping.group_runs(db, "config.lr", [("loss", "last")])
    assert [group["key"] for group in found.groups] == [0.1, 0.2, None]
    seeds, single, without = (group["metrics"][0] for group in found.groups)
    assert (seeds["mean"], seeds["n"], seeds["n_nonfinite"]) == (2.0, 2, 1)
    assert seeds["deviation"] == pytest.approx(math.sqrt(2))
    assert (single["mean"], single["deviation"], without["mean"]) == (5.0, None, 7.0)
    for group in found.groups:
        assert sorted(ids(db, filter=group["filter"])) == sorted(group["runs"])
    by_tag = grouping.group_runs(db, "tags")
    assert [(group["key"], group["n"]) for group in by_tag.groups] == [("a", 1), ("b", 1), (None, 4)]
    for group in by_tag.groups:
        assert sorted(ids(db, filter=group["filter"])) == sorted(group["runs"])
    with pytest.raises(FilterError):
        grouping.group_runs(db, 'metrics["loss"].last')


def test_names_and_values_that_occur_can_be_listed(db, committer, script):
    """What completion offers: each name once, and a field's values with the commonest first."""
    for number in range(3):
        writer = script().start(project="p", config={"net": "a" if number else "b", "lr": 0.1}, tags=["x"])
        committer.submit(writer.log({"val/loss": 1.0, "acc": 2.0}, 0).batch())
    names = vocabulary.names(db)
    assert names["config"] == ["lr", "net"]
    assert names["metrics"] == ["acc", "val/loss"]
    assert (names["tags"], names["projects"], names["groups"]) == (["x"], ["p"], [])
    assert vocabulary.values(db, "config.net") == ["a", "b"]
    assert vocabulary.values(db, "config.lr") == [0.1]
    assert "running" in vocabulary.values(db, "status")


def test_printed_lines_are_news_and_can_be_searched(db, committer, script):
    """The feed says how many lines a run has; a search finds them in whatever case, and % is a character."""
    writer = script().start()
    committer.submit(writer.batch())
    revision = db.revision()
    for text in ("Epoch 1", "loss 50%", "epoch 2"):
        writer.event("log", stream="stdout", text=text, time=1.0)
    committer.submit(writer.batch())
    assert changes.since(db, revision).logs == {writer.run: 3}
    assert changes.since(db, db.revision()).logs == {}
    from deepevent.store import media

    assert [line["index"] for line in media.list_logs(db, writer.run, search="EPOCH")[0]] == [1, 3]
    assert [line["text"] for line in media.list_logs(db, writer.run, search="%")[0]] == ["loss 50%"]
