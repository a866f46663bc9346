"""The run list: filters, sort keys, pages, changes and deletion, the same on both databases."""

from __future__ import annotations

import contextlib
import math
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deepevent.errors import FilterError, RunNotFound, SettingsError
from deepevent.store import changes, connection, deletion, ingest, media, runs
from deepevent.store.paging import run_order
from deepevent.store.query import parse_filter


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def library(request, tmp_path_factory, script):
    """Four runs a, b, c, d with different configs, tags, metrics and statuses, only to be read."""
    if request.param == "sqlite":
        url = request.getfixturevalue("new_sqlite_store")(tmp_path_factory.mktemp("library"))
    else:
        url = request.getfixturevalue("postgresql")()
    db = connection.open_database(url)
    committer = ingest.Committer(db)
    for number, (name, rate) in enumerate([("a", 0.1), ("b", 0.01), ("c", 0.001), ("d", None)]):
        config = {"net": {"kind": f"k{number % 2}"}, "aug": number == 1}
        if rate is not None:
            config["lr"] = rate
        writer = script().start(
            name=name,
            project=f"p{number % 2}",
            config=config,
            tags=["lfw"] if number % 2 else [],
            created=100.0 + number,
        )
        if name != "d":
            writer.log({"val/acc": 0.5 + number / 10}, 0).log({"val/acc": 0.1}, 1)
        else:
            writer.log({"val/acc": math.nan}, 0)
        writer.event("summary", values={"best": number})
        if name in "ab":
            writer.event("finish", status="completed" if name == "a" else "failed", time=150.0 + 100 * number)
        committer.submit(writer.batch())
    committer.close()
    yield db
    db.close()


def names(db, **options):
    return "".join(run["name"] for run in runs.list_runs(db, **options).runs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('status = "running"', "dc"),
        ('status != "running" and project = "p0"', "a"),
        ("config.lr < 0.05", "cb"),
        ("not config.lr < 0.05", "da"),
        ('config["net.kind"] = "k1"', "db"),
        ('config.net.kind contains "K"', "dcba"),
        ("config.aug = true", "b"),
        ("config.aug", "b"),
        ('metrics["val/acc"].max > 0.55', "cb"),
        ('metrics["val/acc"].n = 1 or metrics["val/acc"].last >= 0.1', "dcba"),
        ('summary["best"] >= 2', "dc"),
        ('"lfw" in tags', "db"),
        ('not "lfw" in tags and (name = "a" or name = "d")', "a"),
        ('tags contains "lfw"', "db"),
        ('name in ["a", "c"]', "ca"),
        ('"A" in name', "a"),
        ("created > 101", "dc"),
        ('created > "2001-01-01"', ""),
        ("duration >= 149 and duration < 1000", "b"),
        ("archived = false", "dcba"),
        ("archived", ""),
        ("config.lr exists", "cba"),
        ("not tags exists", "ca"),
        ('metrics["val/acc"].last exists and group exists', ""),
        ("", "dcba"),
        ('name = "%"', ""),
        ('name contains "_"', ""),
        ('name = "\' or 1=1 --"', ""),
    ],
)
def test_a_filter_lets_through_what_it_says(library, text, expected):
    """Each construct of the filter language means the same on both databases."""
    assert names(library, filter=text) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", "abcd"),
        ("-created", "dcba"),
        ("config.lr", "cbad"),
        ("-config.lr", "abcd"),
        ('metrics["val/acc"].max', "abcd"),
        ('-metrics["val/acc"].max', "cbad"),
        ("status", "abcd"),
        ("config.net.kind", "acbd"),
    ],
)
def test_pages_of_any_size_put_together_are_the_sorted_list(library, sort, expected):
    """Runs without the value come last, and no page boundary loses or repeats a run."""
    ties = {"status": {"abcd", "abdc"}, "config.net.kind": {"acbd", "cabd", "acdb", "cadb"}}.get(
        sort, {expected}
    )
    whole = names(library, sort=sort)
    assert whole in ties
    for limit in (1, 2, 3):
        found, cursor = "", None
        while True:
            page = runs.list_runs(library, sort=sort, limit=limit, cursor=cursor)
            assert page.total == 4
            found += "".join(run["name"] for run in page.runs)
            cursor = page.next
            if cursor is None:
                break
        assert found == whole


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("config.lr <", 11, "a number"),
        ("foo = 1", 0, "not a name"),
        ("status = 3", 9, "text"),
        ("created = true", 10, "number"),
        ('metrics["a"] > 1', 0, ".last"),
        ('metrics["a"].median > 1', 0, ".last"),
        ("status == 1", 8, "allowed here"),
        ("a" * 5000, 4000, "characters"),
        ("not " * 60 + "archived", None, "deep"),
        (" or ".join(["archived"] * 300), None, "comparisons"),
        ('"\\ud800" in tags', 0, "escape"),
        ('name = "a\\u0000"', 7, "NUL"),
        ("name", 0, "compared"),
        ("(archived", 9, ")"),
        ("archived $", 9, "allowed here"),
        ("3 in tags", 0, "text"),
        ("created exists", 0, "every run"),
        ('"x" in created', 7, "texts and tags"),
    ],
)
def test_a_mistake_names_its_place_and_what_is_allowed(text, position, words):
    """A wrong filter is a FilterError with a position in the text and a sentence."""
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert words in str(caught.value)
    if position is not None:
        assert caught.value.position == position


WORDS = """and or not ( ) [ ] = != < <= > >= in contains exists status name config.lr metrics["a"].max
summary["x"] tags archived true false 1 -2.5 1e999 "x" "\\u0000" config . , " $ é"""
TOKENS = st.sampled_from(WORDS.split())


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=40), st.lists(TOKENS, max_size=14).map(" ".join), st.text(string.printable))
)
@example('config["' + "a" * 300 + '"] = 1')
@example("((((((((((")
@example("9" * 3000 + " in tags")
def test_no_text_does_more_than_a_filter_error(text):
    """Whatever is typed into the filter, the answer is a condition or a FilterError within the text."""
    try:
        compiled = str(parse_filter(text).compile())
    except FilterError as error:
        assert 0 <= error.position <= max(len(text), 4000)
    else:
        assert compiled


@pytest.mark.parametrize(
    "sort", ["", "-", "size", "name desc", "name; drop table runs", "(select 1)", "tags", "notes"]
)
def test_a_wrong_sort_key_is_a_filter_error(sqlite_db, sort):
    """A sort key that is none is refused."""
    with pytest.raises(FilterError):
        runs.list_runs(sqlite_db, sort=sort)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
@example("WyItY3JlYXRlZCIsIngiLCJ5Il0")
@example("WyItY3JlYXRlZCIsMWU5OTksIngiXQ")
def test_a_cursor_from_elsewhere_is_a_filter_error(text):
    """A cursor that was not given for this list is refused or compares as plain data."""
    order = run_order("-created")
    with contextlib.suppress(FilterError):
        assert order.after(text) is not None


def test_a_cursor_of_another_sort_key_is_refused(library):
    """A cursor belongs to the sort key that it was given for."""
    cursor = runs.list_runs(library, sort="name", limit=1).next
    with pytest.raises(FilterError):
        runs.list_runs(library, sort="-name", limit=1, cursor=cursor)


def test_a_list_shows_the_metrics_asked_for(db, committer, script):
    """Without names the first fifty metrics are shown, else those alone; of several ranks the lowest."""
    writer = script().start()
    committer.submit(writer.log({f"m{number:02}": float(number) for number in range(60)}, 0).batch())
    committer.submit(script(writer.run, rank=2).log({"m00": 5.0, "own": 1.0}, 0).batch())
    (run,) = runs.list_runs(db).runs
    assert len(run["metrics"]) == 50
    (run,) = runs.list_runs(db, metrics=["m00", "m59", "own", "none"]).runs
    assert sorted(run["metrics"]) == ["m00", "m59", "own"]
    assert (run["metrics"]["m00"]["rank"], run["metrics"]["own"]["rank"]) == (0, 2)
    assert [row["id"] for row in runs.get_runs(db, ["x", writer.run])] == [writer.run]


def test_a_run_can_be_made_changed_and_deleted(db):
    """What is written comes back, and each change is a change to the feed."""
    run = runs.create_run(db, name="n", project="p", config={"a": 1}, tags=["t"], notes="x", group="g")
    assert (run["status"], run["config"], run["tags"], run["group"]) == ("running", {"a": 1}, ["t"], "g")
    revision = db.revision()
    changed = runs.update_run(db, run["id"], name="m", tags=["u", "v"], archived=True, group=None)
    assert (changed["name"], changed["tags"], changed["archived"], changed["group"]) == (
        "m",
        ["u", "v"],
        True,
        None,
    )
    assert changed["notes"] == "x"
    assert changes.since(db, revision).runs == [run["id"]]
    deletion.delete_run(db, run["id"])
    for call in (runs.get_run, runs.list_metrics, deletion.delete_run, runs.request_stop, media.list_logs):
        with pytest.raises(RunNotFound):
            call(db, run["id"])
    with pytest.raises(RunNotFound):
        runs.update_run(db, run["id"], name="z")
    found = changes.since(db, revision)
    assert (found.runs, found.deleted, found.revision) == ([], [run["id"]], db.revision())


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "x" * 251}, {"name": 3}, {"tags": "x"}, {"archived": 1}, {"id": "x"}]
)
def test_a_change_that_cannot_be_stored_is_refused(sqlite_db, wrong):
    """Names, tags and flags of the wrong kind are refused and change nothing."""
    run = runs.create_run(sqlite_db, name="n")
    before = sqlite_db.revision()
    with pytest.raises(SettingsError):
        runs.update_run(sqlite_db, run["id"], **wrong)
    assert sqlite_db.revision() == before


def test_media_come_in_pages(db, committer, script):
    """Pages of media follow each other without loss, filtered by kind and name."""
    writer = script().start()
    for step in range(7):
        writer.event(
            "media", kind="text", name="log" if step % 2 else "note", step=step, time=1.0, data={"text": "x"}
        )
    committer.submit(writer.batch())
    found, cursor = [], None
    while True:
        page, cursor = media.list_media(db, writer.run, name="note", limit=2, cursor=cursor)
        found += [row["step"] for row in page]
        if cursor is None:
            break
    assert found == [0, 2, 4, 6]
    assert media.list_media(db, writer.run, kind="image") == ([], None)
    with pytest.raises(FilterError):
        media.list_media(db, writer.run, cursor="1 or 1")


def test_what_a_run_ran_on_is_merged(db, committer, script):
    """Facts of the environment add up key by key; a process that only fills in leaves known ones alone."""
    writer = script().start()
    writer.event("environment", values={"git": {"commit": "a"}, "gpus": []}, fills=False)
    other = script(writer.run).start(resumed=True, finishes=False)
    other.event("environment", values={"git": {"commit": "b"}, "packages": {"x": "1"}}, fills=True)
    committer.submit(writer.batch())
    committer.submit(other.batch())
    environment = runs.get_run(db, writer.run)["environment"]
    assert environment["git"] == {"commit": "a"}
    assert environment["packages"] == {"x": "1"}
    assert environment["created"] == 1000.0
