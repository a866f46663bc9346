"""Add alert rules, webhooks and what is to be sent to them.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up only a plain INTEGER key


def upgrade() -> None:
    op.add_column("alerts", sa.Column("rule_id", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_alerts_rule_id_run_id"), "alerts", ["rule_id", "run_id"], unique=True)
    op.create_table(
        "alert_rules",
        sa.Column("id", LONG, nullable=False),
        sa.Column("project", sa.String(length=250), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("metric", sa.String(length=250), nullable=True),
        sa.Column("bound", sa.Double(), nullable=True),
        sa.Column("patience", sa.Integer(), nullable=True),
        sa.Column("goal", sa.String(length=3), nullable=True),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.String(length=250), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rules")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhooks",
        sa.Column("id", LONG, nullable=False),
        sa.Column("project", sa.String(length=250), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.String(length=250), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", LONG, nullable=False),
        sa.Column("webhook_id", LONG, nullable=False),
        sa.Column("alert_id", LONG, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("answer", sa.String(length=250), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_webhook_deliveries_alert_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("webhook_id", "alert_id", name=op.f("uq_webhook_deliveries_webhook_id_alert_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_webhook_deliveries_state_due"), "webhook_deliveries", ["state", "due"])
    op.create_index(op.f("ix_webhook_deliveries_webhook_id"), "webhook_deliveries", ["webhook_id"])


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.drop_table("alert_rules")
    op.drop_index(op.f("ix_alerts_rule_id_run_id"), "alerts")
    op.drop_column("alerts", "rule_id")
