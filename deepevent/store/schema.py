"""The tables, once, for SQLite and PostgreSQL.

Knows no queries and no connections. What a column means beyond its name is said beside it; the
shapes of the compressed columns are in docs/formats.md. A change here needs a migration: a test
compares this metadata with what the migrations make.

Tables of runs stand in `runtables`, those of the training server in `jobtables`; everybody reads
them from here.
"""

from __future__ import annotations

import sqlalchemy as sa

from deepevent.store.columns import ID_LENGTH, LONG, NAME_LENGTH, Real, metadata
from deepevent.store.jobtables import (
    agent_recipes,
    agents,
    job_attempts,
    job_audit,
    job_dependencies,
    jobs,
    queue,
    sweep_trials,
    sweeps,
)
from deepevent.store.runtables import (
    alert_rules,
    alerts,
    artifacts,
    blocks,
    levels,
    logs,
    media,
    metrics,
    run_tags,
    run_values,
    runs,
    store,
    trash,
    webhook_deliveries,
    webhooks,
    writer_shapes,
    writers,
)

__all__ = [
    "ID_LENGTH",
    "LONG",
    "NAME_LENGTH",
    "Real",
    "agent_recipes",
    "agents",
    "alert_rules",
    "alerts",
    "artifacts",
    "blocks",
    "job_attempts",
    "job_audit",
    "job_dependencies",
    "jobs",
    "levels",
    "logs",
    "media",
    "metadata",
    "metrics",
    "queue",
    "run_tags",
    "run_values",
    "runs",
    "store",
    "sweep_trials",
    "sweeps",
    "tokens",
    "trash",
    "views",
    "webhook_deliveries",
    "webhooks",
    "writer_shapes",
    "writers",
]

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
