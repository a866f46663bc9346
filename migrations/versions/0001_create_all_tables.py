"""Create all tables.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up only a plain INTEGER key

TABLES = (
    "runs",
    "store",
    "tokens",
    "alerts",
    "artifacts",
    "logs",
    "media",
    "metrics",
    "run_tags",
    "run_values",
    "writers",
    "blocks",
    "levels",
    "writer_shapes",
)


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("project", sa.String(length=250), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("group", sa.String(length=250), nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("started", sa.Double(), nullable=True),
        sa.Column("finished", sa.Double(), nullable=True),
        sa.Column("heartbeat", sa.Double(), nullable=True),
        sa.Column("host", sa.String(length=250), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.Column("named_by_rank", sa.Integer(), nullable=True),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("n_metrics", sa.BigInteger(), nullable=False),
        sa.Column("n_media", sa.BigInteger(), nullable=False),
        sa.Column("n_logs", sa.BigInteger(), nullable=False),
        sa.Column("n_dropped", sa.BigInteger(), nullable=False),
        sa.Column("metric_limit_reached", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_deleted_created_id"), "runs", ["deleted", "created", "id"], unique=False)
    op.create_index(op.f("ix_runs_project_created"), "runs", ["project", "created"], unique=False)
    op.create_index(op.f("ix_runs_revision"), "runs", ["revision"], unique=False)
    op.create_index(op.f("ix_runs_status_heartbeat"), "runs", ["status", "heartbeat"], unique=False)
    op.create_table(
        "store",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("next_metric_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", LONG, nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=True),
        sa.Column("revoked", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_tokens_hash")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alerts",
        sa.Column("id", LONG, nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("title", sa.String(length=250), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_alerts_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_alerts_revision"), "alerts", ["revision"], unique=False)
    op.create_index(op.f("ix_alerts_run_id"), "alerts", ["run_id"], unique=False)
    op.create_table(
        "artifacts",
        sa.Column("id", LONG, nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("kind", sa.String(length=250), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_artifacts_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_artifacts_blob"), "artifacts", ["blob"], unique=False)
    op.create_index(op.f("ix_artifacts_run_id"), "artifacts", ["run_id"], unique=False)
    op.create_table(
        "logs",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_logs_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "index", name=op.f("pk_logs")),
    )
    op.create_table(
        "media",
        sa.Column("id", LONG, nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Double(), nullable=True),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=True),
        sa.Column("mime", sa.String(length=250), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_media_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_media_blob"), "media", ["blob"], unique=False)
    op.create_index(op.f("ix_media_revision"), "media", ["revision"], unique=False)
    op.create_index(
        op.f("ix_media_run_id_kind_name_id"), "media", ["run_id", "kind", "name", "id"], unique=False
    )
    op.create_table(
        "metrics",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("n_points", sa.BigInteger(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.Double(), nullable=False),
        sa.Column("last", sa.Double(), nullable=True),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("min_step", sa.BigInteger(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("max_step", sa.BigInteger(), nullable=True),
        sa.Column("n_nan", sa.BigInteger(), nullable=False),
        sa.Column("n_positive_infinity", sa.BigInteger(), nullable=False),
        sa.Column("n_negative_infinity", sa.BigInteger(), nullable=False),
        sa.Column("n_breaks", sa.BigInteger(), nullable=False),
        sa.Column("times_ordered", sa.Boolean(), nullable=False),
        sa.Column("n_compacted", sa.BigInteger(), nullable=False),
        sa.Column("n_short_blocks", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_metrics_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metrics")),
        sa.UniqueConstraint("run_id", "name", "rank", name=op.f("uq_metrics_run_id_name_rank")),
    )
    op.create_index(
        "ix_metrics_by_name", "metrics", ["name", "run_id", "max", "min", "last", "n_points"], unique=False
    )
    op.create_index(op.f("ix_metrics_n_short_blocks"), "metrics", ["n_short_blocks"], unique=False)
    op.create_index(op.f("ix_metrics_revision"), "metrics", ["revision"], unique=False)
    op.create_index(op.f("ix_metrics_run_id_ordinal"), "metrics", ["run_id", "ordinal"], unique=False)
    op.create_table(
        "run_tags",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("tag", sa.String(length=250), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_tags_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "tag", name=op.f("pk_run_tags")),
    )
    op.create_index(op.f("ix_run_tags_tag_run_id"), "run_tags", ["tag", "run_id"], unique=False)
    op.create_table(
        "run_values",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.Column("text", sa.String(length=250), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_values_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "source", "key", name=op.f("pk_run_values")),
    )
    op.create_index(
        "ix_run_values_by_key", "run_values", ["source", "key", "run_id", "number", "text"], unique=False
    )
    op.create_table(
        "writers",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("clock_offset_s", sa.Double(), nullable=False),
        sa.Column("first_seen", sa.Double(), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.Column("finished", sa.String(length=16), nullable=True),
        sa.Column("host", sa.String(length=250), nullable=True),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_writers_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "id", name=op.f("pk_writers")),
    )
    op.create_table(
        "blocks",
        sa.Column("metric_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("min_step", sa.BigInteger(), nullable=False),
        sa.Column("max_step", sa.BigInteger(), nullable=False),
        sa.Column("min_time", sa.Double(), nullable=False),
        sa.Column("max_time", sa.Double(), nullable=False),
        sa.Column("steps", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.LargeBinary(), nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["metric_id"], ["metrics.id"], name=op.f("fk_blocks_metric_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("metric_id", "first_index", name=op.f("pk_blocks")),
    )
    op.create_table(
        "levels",
        sa.Column("metric_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("buckets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["metric_id"], ["metrics.id"], name=op.f("fk_levels_metric_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("metric_id", "level", "first_bucket", name=op.f("pk_levels")),
    )
    op.create_table(
        "writer_shapes",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("writer_id", sa.String(length=26), nullable=False),
        sa.Column("shape", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "writer_id"],
            ["writers.run_id", "writers.id"],
            name=op.f("fk_writer_shapes_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "writer_id", "shape", name=op.f("pk_writer_shapes")),
    )
    op.execute("INSERT INTO store (id, revision, next_metric_id) VALUES (1, 0, 1)")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
