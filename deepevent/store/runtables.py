"""Tables of runs and of all that belongs to one. Read them as `schema.runs` and so on."""

from __future__ import annotations

import sqlalchemy as sa

from deepevent.store.columns import ID_LENGTH, LONG, NAME_LENGTH, Real, metadata, metric_key, run_key

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
    run_key(primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("actor", sa.String(NAME_LENGTH), nullable=False),
    sa.Index(None, "time"),
)

run_tags = sa.Table(
    "run_tags",
    metadata,
    run_key(primary_key=True),
    sa.Column("tag", sa.String(NAME_LENGTH), primary_key=True),
    sa.Index(None, "tag", "run_id"),
)

# config and summary again, flat: what filters and sort keys read, the same on both databases.
run_values = sa.Table(
    "run_values",
    metadata,
    run_key(primary_key=True),
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
    run_key(),
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
    metric_key(),
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
    metric_key(),
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
    run_key(primary_key=True),
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
    run_key(),
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
    run_key(primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),  # 1, 2, … within the run
    sa.Column("stream", sa.String(8), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("id", LONG, primary_key=True),
    run_key(index=True),
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
    run_key(index=True),
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
