"""The tables, once, for SQLite and PostgreSQL.

Knows no queries and no connections. What a column means beyond its name is said beside it; the
shapes of the compressed columns are in docs/formats.md. A change here needs a migration: a test
compares this metadata with what the migrations make.
"""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

LONG = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up only a plain INTEGER key
NAME_LENGTH = 250
ID_LENGTH = 26  # a ULID


class Real(sa.types.TypeDecorator[float]):
    """A float64 in which NaN is NULL.

    SQLite cannot store NaN at all and PostgreSQL sorts it above everything; NULL is the same on both.
    Only summaries lie in such columns: points themselves are kept bit for bit in `blocks`.
    """

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Any) -> float | None:
        """Return what to store."""
        return None if value is None or math.isnan(value) else float(value)

    def process_result_value(self, value: float | None, dialect: Any) -> float:
        """Return what was stored."""
        return math.nan if value is None else value


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _run_id(**options: Any) -> sa.Column[str]:
    return sa.Column(
        "run_id",
        sa.String(ID_LENGTH),
        sa.ForeignKey("runs.id", ondelete="CASCADE"),
        nullable=False,
        **options,
    )


def _metric_id() -> sa.Column[int]:
    return sa.Column(
        "metric_id",
        sa.BigInteger,
        sa.ForeignKey("metrics.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )


# One row: the counters that every write transaction may take from.
store = sa.Table(
    "store",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("next_metric_id", sa.BigInteger, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("project", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("group", sa.String(NAME_LENGTH)),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
    sa.Column("heartbeat", sa.Double),
    sa.Column("host", sa.String(NAME_LENGTH)),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),  # a tombstone: late batches are told so
    sa.Column("stop_requested", sa.Boolean, nullable=False),
    sa.Column("named_by_rank", sa.Integer),  # whose `run` event gave name, project and environment
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("traceback", sa.Text),
    sa.Column("n_metrics", sa.BigInteger, nullable=False),
    sa.Column("n_media", sa.BigInteger, nullable=False),
    sa.Column("n_logs", sa.BigInteger, nullable=False),
    sa.Column("n_dropped", sa.BigInteger, nullable=False),  # points that the client could not keep
    sa.Column("metric_limit_reached", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("logs_revision", sa.BigInteger),  # of the newest log line: lines change no other part of a run
    sa.Index(None, "revision"),
    sa.Index(None, "logs_revision"),
    # The list reads this index alone, and no row that it does not show.
    sa.Index(None, "deleted", "created", "id", "archived"),
    sa.Index(None, "project", "created"),
    sa.Index(None, "status", "heartbeat"),
)

# Runs that are to be deleted, until `trash.KEEP_S` has passed: hidden in lists, and whole until then.
trash = sa.Table(
    "trash",
    metadata,
    _run_id(primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("actor", sa.String(NAME_LENGTH), nullable=False),
    sa.Index(None, "time"),
)

run_tags = sa.Table(
    "run_tags",
    metadata,
    _run_id(primary_key=True),
    sa.Column("tag", sa.String(NAME_LENGTH), primary_key=True),
    sa.Index(None, "tag", "run_id"),
)

# config and summary again, flat: what filters and sort keys read, the same on both databases.
run_values = sa.Table(
    "run_values",
    metadata,
    _run_id(primary_key=True),
    sa.Column("source", sa.String(8), primary_key=True),  # config, summary
    sa.Column("key", sa.String(NAME_LENGTH), primary_key=True),  # dotted path
    sa.Column("number", sa.Double),
    sa.Column("text", sa.String(NAME_LENGTH)),
    # Filters ask run by run, and read this index alone.
    sa.Index("ix_run_values_by_key", "source", "key", "run_id", "number", "text"),
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    _run_id(),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("ordinal", sa.BigInteger, nullable=False),  # 0, 1, … in the order in which the run met them
    sa.Column("n_points", sa.BigInteger, nullable=False),
    sa.Column("first_step", sa.BigInteger, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),  # of the last point in order of arrival
    sa.Column("last_time", sa.Double, nullable=False),
    sa.Column("last", Real),
    sa.Column("min", Real),
    sa.Column("min_step", sa.BigInteger),
    sa.Column("max", Real),
    sa.Column("max_step", sa.BigInteger),
    sa.Column("n_nan", sa.BigInteger, nullable=False),
    sa.Column("n_positive_infinity", sa.BigInteger, nullable=False),
    sa.Column("n_negative_infinity", sa.BigInteger, nullable=False),
    sa.Column("n_breaks", sa.BigInteger, nullable=False),  # points whose step is not above the one before
    sa.Column("times_ordered", sa.Boolean, nullable=False),
    sa.Column(
        "n_compacted", sa.BigInteger, nullable=False
    ),  # points in full blocks, all of them in levels too
    sa.Column("n_short_blocks", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("run_id", "name", "rank"),
    sa.Index(None, "run_id", "ordinal"),
    # The same for filters and sort keys on metrics.
    sa.Index("ix_metrics_by_name", "name", "run_id", "max", "min", "last", "n_points"),
    sa.Index(None, "revision"),
    sa.Index(None, "n_short_blocks"),
)

blocks = sa.Table(
    "blocks",
    metadata,
    _metric_id(),
    sa.Column("first_index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("min_step", sa.BigInteger, nullable=False),
    sa.Column("max_step", sa.BigInteger, nullable=False),
    sa.Column("min_time", sa.Double, nullable=False),
    sa.Column("max_time", sa.Double, nullable=False),
    sa.Column("steps", sa.LargeBinary, nullable=False),
    sa.Column("times", sa.LargeBinary, nullable=False),
    sa.Column("values", sa.LargeBinary, nullable=False),
)

levels = sa.Table(
    "levels",
    metadata,
    _metric_id(),
    sa.Column(
        "level", sa.Integer, primary_key=True, autoincrement=False
    ),  # 1: 256 points a bucket, 2: 4,096, …
    sa.Column("first_bucket", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("buckets", sa.LargeBinary, nullable=False),
)

writers = sa.Table(
    "writers",
    metadata,
    _run_id(primary_key=True),
    sa.Column("id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    sa.Column("clock_offset_s", sa.Double, nullable=False),  # server's clock minus the client's
    sa.Column("first_seen", sa.Double, nullable=False),
    sa.Column("last_seen", sa.Double, nullable=False),
    sa.Column("finished", sa.String(16)),  # the status with which it finished
    sa.Column("host", sa.String(NAME_LENGTH)),
    sa.Column("pid", sa.BigInteger),
)

writer_shapes = sa.Table(
    "writer_shapes",
    metadata,
    sa.Column("run_id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("writer_id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("shape", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("names", sa.Text, nullable=False),  # a JSON array
    sa.ForeignKeyConstraint(["run_id", "writer_id"], ["writers.run_id", "writers.id"], ondelete="CASCADE"),
)

media = sa.Table(
    "media",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    _run_id(),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.Double),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("blob", sa.String(64)),
    sa.Column("mime", sa.String(NAME_LENGTH)),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "run_id", "kind", "name", "id"),
    sa.Index(None, "revision"),
    sa.Index(None, "blob"),
    sqlite_autoincrement=True,
)

logs = sa.Table(
    "logs",
    metadata,
    _run_id(primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),  # 1, 2, … within the run
    sa.Column("stream", sa.String(8), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    _run_id(index=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("kind", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("blob", sa.String(64), index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    _run_id(index=True),
    sa.Column("title", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("level", sa.String(8), nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("rule_id", sa.BigInteger),  # of the rule that raised it; a script's own alert has none
    sa.Index(None, "revision"),
    sa.Index(None, "rule_id", "run_id", unique=True),  # a rule speaks once of a run; NULLs all differ
    sqlite_autoincrement=True,
)
alert_rules = sa.Table(
    "alert_rules",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("project", sa.String(NAME_LENGTH)),  # NULL: every project
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("metric", sa.String(NAME_LENGTH)),  # NULL: any, or none is asked for
    sa.Column("bound", sa.Double),
    sa.Column("patience", sa.Integer),
    sa.Column("goal", sa.String(3)),  # min or max
    sa.Column("level", sa.String(8), nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),  # the revision up to which it was looked at
    sqlite_autoincrement=True,
)
webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("project", sa.String(NAME_LENGTH)),  # NULL: every project
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.String(64), nullable=False),  # in clear: it signs
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),  # the last alert that was looked at
    sqlite_autoincrement=True,
)
# What is still to be sent, and how it went.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column(
        "webhook_id", LONG, sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("alert_id", LONG, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),  # waiting, delivered, failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.Double, nullable=False),
    sa.Column("answer", sa.String(NAME_LENGTH), nullable=False),  # to the last attempt
    sa.UniqueConstraint("webhook_id", "alert_id"),
    sa.Index(None, "state", "due"),
    sqlite_autoincrement=True,
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),  # SHA-256 of the secret, in hex
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("expires", sa.Double),
    sa.Column("revoked", sa.Double),
    sqlite_autoincrement=True,
)

# The training server: jobs, who runs them, and what was done to them (states and rules: store/leases.py).
agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("host", sa.String(NAME_LENGTH)),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("cpus", sa.Integer, nullable=False),
    sa.Column("gpus", sa.Integer, nullable=False),
    sa.Column("memory_mb", sa.BigInteger, nullable=False),
    sa.Column("allow_commands", sa.Boolean, nullable=False),
    sa.Column("draining", sa.Boolean, nullable=False),
    sa.Column("token_id", sa.BigInteger),  # only the token that registered an agent speaks for it
    sa.Column("registered", sa.Double, nullable=False),
    sa.Column("last_seen", sa.Double, nullable=False),
    sa.Column("left", sa.Double),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "revision"),
)

agent_recipes = sa.Table(
    "agent_recipes",
    metadata,
    sa.Column(
        "agent_id", sa.String(ID_LENGTH), sa.ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("project", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("recipe", sa.String(NAME_LENGTH)),  # null: a free command
    sa.Column("command", sa.Text),  # a JSON array of arguments
    sa.Column("folder", sa.Text),  # where a free command wants to run
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),  # higher goes first
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("max_retries", sa.Integer, nullable=False),
    sa.Column("retries_left", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),  # rises whenever somebody else takes over
    sa.Column("agent_id", sa.String(ID_LENGTH), sa.ForeignKey("agents.id", ondelete="SET NULL")),
    sa.Column("lease_expires", sa.Double),
    sa.Column("not_before", sa.Double, nullable=False),
    sa.Column("run_id", sa.String(ID_LENGTH), nullable=False),  # all attempts log to one run
    sa.Column("group", sa.String(NAME_LENGTH)),  # of that run
    sa.Column("stop_requested", sa.Boolean, nullable=False),
    sa.Column("cpus", sa.Integer, nullable=False),
    sa.Column("gpus", sa.Integer, nullable=False),
    sa.Column("memory_mb", sa.BigInteger),
    sa.Column("time_limit_s", sa.Double),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "state", "priority", "id"),
    sa.Index(None, "state", "lease_expires"),
    sa.Index(None, "run_id"),
    sa.Index(None, "revision"),
    sqlite_autoincrement=True,
)

job_dependencies = sa.Table(
    "job_dependencies",
    metadata,
    sa.Column(
        "job_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column(
        "after_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Index(None, "after_id"),
)

job_attempts = sa.Table(
    "job_attempts",
    metadata,
    sa.Column(
        "job_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("fence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("agent_id", sa.String(ID_LENGTH), nullable=False),
    sa.Column("agent", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("claimed", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
)

job_audit = sa.Table(
    "job_audit",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("job_id", sa.BigInteger, index=True),
    sa.Column("actor", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

# Names for addresses of the dashboard.
views = sa.Table(
    "views",
    metadata,
    sa.Column("id", sa.String(ID_LENGTH), primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("changed", sa.Double, nullable=False),
)

# One row.
queue = sa.Table(
    "queue",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# Sweeps: many jobs of one recipe, whose parameters a sampler chooses (rules: store/sweeps.py).
sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("project", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("recipe", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),  # those that all trials share
    sa.Column("space", sa.Text, nullable=False),
    sa.Column("metric", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("direction", sa.String(8), nullable=False),  # min, max
    sa.Column("sampler", sa.String(16), nullable=False),
    sa.Column("pruner", sa.String(16), nullable=False),
    sa.Column("warmup", sa.Integer, nullable=False),  # values of a trial before it may be stopped
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("n_trials", sa.Integer, nullable=False),
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("max_retries", sa.Integer, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("resources", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column(
        "version", sa.BigInteger, nullable=False
    ),  # rises with every change: who decided on an older one, decides again
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("finished", sa.Double),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "revision"),
    sqlite_autoincrement=True,
)

sweep_trials = sa.Table(
    "sweep_trials",
    metadata,
    sa.Column(
        "sweep_id",
        LONG,
        sa.ForeignKey("sweeps.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # 0, 1, … without gaps
    sa.Column("job_id", LONG, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),  # those that are searched
    sa.Column("source", sa.String(16), nullable=False),  # sampler, person
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("value", Real),  # the best of its metric so far
    sa.Column(
        "n_points", sa.BigInteger, nullable=False
    ),  # points of the metric that are in value and reports
    sa.Column("reports", sa.Text, nullable=False),  # {n: the metric's n-th value}, thinned
    sa.Column("n_judged", sa.BigInteger, nullable=False),  # up to which the pruner has seen them
    sa.Column("pruned_at", sa.BigInteger),  # the n-th value, after which it was stopped
    sa.Column("attributes", sa.Text, nullable=False),  # what sampler and pruner remember of it
    sa.Column("finished", sa.Double),
    sa.UniqueConstraint("job_id"),
)
