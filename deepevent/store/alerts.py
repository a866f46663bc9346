"""Alert rules: what a person wants to be told about runs, and the look for runs of which it has become true.

A rule speaks once of a run. It looks at what has changed since it was made, so that a new rule does not tell
of last year's runs; how far it has looked is stored, so that nothing is missed while no server runs. An alert
that a rule raises lies beside those that scripts raise, and reaches pages and webhooks the same way.

Knows rows, not pages and not webhooks.
"""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import sqlalchemy as sa

from deepevent.errors import AlertRuleNotFound, SettingsError
from deepevent.store import schema
from deepevent.store.audit import note
from deepevent.store.connection import Database, next_revision, read_revision
from deepevent.store.curves import read_tail
from deepevent.store.events import ALERT_LEVELS, name_problem
from deepevent.store.media import ALERT_COLUMNS

Kind = Literal["non_finite", "stalled", "above", "lost", "finished"]
KINDS: tuple[Kind, ...] = ("non_finite", "stalled", "above", "lost", "finished")
OF_METRICS = ("non_finite", "stalled", "above")
GOALS = ("min", "max")
RULES_LIMIT = 200
PATIENCE_LIMIT = 100_000
# A rule that saw nothing new writes down how far it looked after so many revisions only.
SEEN_EVERY = 1_000
Row = dict[str, Any]

_RULES, _RUNS, _METRICS, _ALERTS = schema.alert_rules, schema.runs, schema.metrics, schema.alerts


def list_rules(db: Database) -> list[Row]:
    """Return all rules, oldest first."""
    with db.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(_RULES).order_by(_RULES.c.id)).mappings()]


def create_rule(
    db: Database,
    kind: str,
    *,
    actor: str,
    project: str | None = None,
    metric: str | None = None,
    bound: float | None = None,
    patience: int | None = None,
    goal: str | None = None,
    level: str = "warning",
) -> Row:
    """Make a rule, which looks at what changes from now on.

    Args:
        db: the store.
        kind: `non_finite` (a NaN or infinity), `stalled` (no better value among the last `patience` ones),
            `above` (a value beyond `bound`), `lost` (no heartbeat), `finished` (completed, failed, stopped).
        actor: who makes it, for the audit log.
        project: whose runs; None: of all projects.
        metric: which one; `non_finite` may leave it out and means all.
        bound: for `above`.
        patience: for `stalled`, in values of the metric: epochs, if it is logged once an epoch.
        goal: for `stalled`, whether less (`min`) or more (`max`) is better.
        level: of the alert, one of `events.ALERT_LEVELS`.

    Raises:
        SettingsError: with all that is wrong or missing.
    """
    problems = _problems(kind, project, metric, bound, patience, goal, level)
    if problems:
        raise SettingsError("; ".join(problems))
    row: Row = {"project": project, "kind": kind, "level": level, "created": time.time(), "created_by": actor}
    row |= {"metric": metric if kind in OF_METRICS else None, "bound": bound if kind == "above" else None}
    row |= {
        name: value if kind == "stalled" else None for name, value in (("patience", patience), ("goal", goal))
    }
    with db.write() as connection:
        if connection.execute(sa.select(sa.func.count()).select_from(_RULES)).scalar_one() >= RULES_LIMIT:
            raise SettingsError(f"there may be {RULES_LIMIT} alert rules at most: delete one first")
        row["seen"] = read_revision(connection)
        key = connection.execute(sa.insert(_RULES).values(**row)).inserted_primary_key
        row["id"] = None if key is None else key[0]
        note(connection, None, actor, "alert rule created", f"{kind} of {project or 'every project'}")
    return row


def delete_rule(db: Database, rule_id: int, actor: str) -> None:
    """Delete a rule; what it has told stays.

    Raises:
        AlertRuleNotFound: there is none.
    """
    with db.write() as connection:
        if not connection.execute(sa.delete(_RULES).where(_RULES.c.id == rule_id)).rowcount:
            raise AlertRuleNotFound(f"there is no alert rule {rule_id}")
        note(connection, None, actor, "alert rule deleted", f"number {rule_id}")


def list_newest(db: Database, limit: int, before: int | None = None) -> list[Row]:
    """Return alerts of all runs, the newest first, each with its run's name and project.

    Args:
        db: the store.
        limit: how many.
        before: only those with a smaller id, to read on.
    """
    names = (_RUNS.c.name.label("run_name"), _RUNS.c.project)
    query = sa.select(*ALERT_COLUMNS, *names).join(_RUNS, _RUNS.c.id == _ALERTS.c.run_id)
    query = query.where(_RUNS.c.deleted == sa.false())
    if before is not None:
        query = query.where(_ALERTS.c.id < before)
    with db.read() as connection:
        found = connection.execute(query.order_by(_ALERTS.c.id.desc()).limit(limit)).mappings()
        return [dict(row) for row in found]


def look(db: Database) -> int:
    """Look once by every rule and write down what there is to tell; housekeeping calls this.

    Returns:
        How many alerts were raised.
    """
    with db.read() as connection:
        newest = read_revision(connection)
        waiting = sa.select(_RULES).where(_RULES.c.seen < newest).order_by(_RULES.c.id)
        rules = [dict(row) for row in connection.execute(waiting).mappings()]
        told = [(rule, found) for rule in rules for found in _found(connection, rule)]
    late = [rule["id"] for rule in rules if newest - rule["seen"] >= SEEN_EVERY]
    told_of = {rule["id"] for rule, _ in told}
    if not told and not late:
        return 0
    n_raised = 0
    with db.write() as connection:
        for rule, (run_id, title, text) in told:
            # Another server may have told it, or the rule or the run be gone meanwhile.
            there = (
                sa.exists().where(_RULES.c.id == rule["id"]),
                sa.exists().where(_RUNS.c.id == run_id, _RUNS.c.deleted == sa.false()),
                ~sa.exists().where(_ALERTS.c.rule_id == rule["id"], _ALERTS.c.run_id == run_id),
            )
            if connection.execute(sa.select(sa.and_(*there))).scalar():
                row = {"run_id": run_id, "title": title[:250], "text": text, "level": rule["level"]}
                row |= {"time": time.time(), "rule_id": rule["id"], "revision": next_revision(connection)}
                connection.execute(sa.insert(_ALERTS).values(**row))
                n_raised += 1
        looked = sa.update(_RULES).where(_RULES.c.id.in_([*late, *told_of]))
        connection.execute(looked.values(seen=newest))
    return n_raised


def _found(connection: sa.Connection, rule: Row) -> list[tuple[str, str, str]]:
    """Return (run, title, text) of each run of which the rule has become true and has not spoken."""
    if rule["kind"] in OF_METRICS:
        return _by_metrics(connection, rule)
    states = {"lost": ("lost",), "finished": ("completed", "failed", "stopped")}[rule["kind"]]
    query = sa.select(_RUNS.c.id, _RUNS.c.name, _RUNS.c.status).where(
        _RUNS.c.revision > rule["seen"], _RUNS.c.status.in_(states), *_open_to(rule)
    )
    told = []
    for run in connection.execute(query):
        if rule["kind"] == "lost":
            told.append((run.id, f"{run.name} is lost", "Nothing was heard of it for a minute."))
        else:
            told.append((run.id, f"{run.name} has {_ENDED[run.status]}", ""))
    return told


_ENDED = {"completed": "completed", "failed": "failed", "stopped": "been stopped"}


def _by_metrics(connection: sa.Connection, rule: Row) -> list[tuple[str, str, str]]:
    query = (
        sa.select(_METRICS, _RUNS.c.name.label("run_name"))
        .join(_RUNS, _RUNS.c.id == _METRICS.c.run_id)
        .where(_METRICS.c.revision > rule["seen"], *_open_to(rule))
        .order_by(_METRICS.c.run_id, _METRICS.c.ordinal)
    )
    if rule["metric"] is not None:
        query = query.where(_METRICS.c.name == rule["metric"])
    wrong = _METRICS.c.n_nan + _METRICS.c.n_positive_infinity + _METRICS.c.n_negative_infinity
    match rule["kind"]:
        case "non_finite":
            query = query.where(wrong > 0)
        case "above":
            query = query.where(sa.or_(_METRICS.c.max > rule["bound"], _METRICS.c.n_positive_infinity > 0))
        case "stalled":
            query = query.where(_METRICS.c.n_points > rule["patience"], _RUNS.c.status == "running")
    told: dict[str, tuple[str, str, str]] = {}
    for row in connection.execute(query).mappings():
        if row["run_id"] not in told and (rule["kind"] != "stalled" or _is_stalled(connection, rule, row)):
            told[row["run_id"]] = (row["run_id"], *_sentence(rule, row))
    return list(told.values())


def _open_to(rule: Row) -> list[sa.ColumnElement[bool]]:
    """Return what makes a run one that the rule may still speak of."""
    spoken = sa.exists().where(_ALERTS.c.rule_id == rule["id"], _ALERTS.c.run_id == _RUNS.c.id)
    own = [] if rule["project"] is None else [_RUNS.c.project == rule["project"]]
    return [_RUNS.c.deleted == sa.false(), ~spoken, *own]


def _is_stalled(connection: sa.Connection, rule: Row, row: sa.RowMapping) -> bool:
    """Tell whether the best value is older than the last `patience` values."""
    best = row["min_step"] if rule["goal"] == "min" else row["max_step"]
    if best is None:
        return False  # nothing finite yet, which is another rule's matter
    n = int(row["n_points"])
    points = read_tail(connection, int(row["id"]), n - int(rule["patience"]), n)
    return len(points) > 0 and int(points.steps.min()) > best


def _sentence(rule: Row, row: sa.RowMapping) -> tuple[str, str]:
    name, run = row["name"], row["run_name"]
    match rule["kind"]:
        case "non_finite":
            kinds = (("NaN", "n_nan"), ("+Inf", "n_positive_infinity"), ("-Inf", "n_negative_infinity"))
            found = ", ".join(f"{row[column]:,} × {kind}" for kind, column in kinds if row[column])
            return f"{name} of {run} is not finite", f"{found} by step {row['last_step']:,}."
        case "above":
            highest = (
                "+Inf" if row["n_positive_infinity"] else f"{row['max']:.6g} at step {row['max_step']:,}"
            )
            return f"{name} of {run} is above {rule['bound']:.6g}", f"Highest so far: {highest}."
        case _:
            goal, patience = rule["goal"], rule["patience"]
            best = f"Best {row[goal]:.6g} at step {row[f'{goal}_step']:,}"
            return f"{name} of {run} makes no progress", f"{best}, and {patience:,} values since then."


def _problems(
    kind: str,
    project: str | None,
    metric: str | None,
    bound: float | None,
    patience: int | None,
    goal: str | None,
    level: str,
) -> list[str]:
    found = []
    if kind not in KINDS:
        found.append(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    for what, name in (("project", project), ("metric", metric)):
        problem = None if name is None else name_problem(name)
        if problem:
            found.append(f"{what} {problem}")
    if kind in ("stalled", "above") and metric is None:
        found.append(f"{kind!r} needs metric")
    if kind == "above" and (bound is None or not math.isfinite(bound)):
        found.append(f"'above' needs bound, a finite number, got {bound!r}")
    if kind == "stalled":
        if patience is None or not 1 <= patience <= PATIENCE_LIMIT:
            found.append(f"'stalled' needs patience between 1 and {PATIENCE_LIMIT}, got {patience!r}")
        if goal not in GOALS:
            found.append(f"'stalled' needs goal, min or max, got {goal!r}")
    if level not in ALERT_LEVELS:
        found.append(f"level must be one of {', '.join(ALERT_LEVELS)}, got {level!r}")
    return found
