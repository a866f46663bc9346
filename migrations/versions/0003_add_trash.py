"""Add the trash, and a revision of each run's log.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trash",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(length=250), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_trash_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_trash")),
    )
    op.create_index(op.f("ix_trash_time"), "trash", ["time"], unique=False)
    op.add_column("runs", sa.Column("logs_revision", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_runs_logs_revision"), "runs", ["logs_revision"], unique=False)
    op.drop_index(op.f("ix_runs_deleted_created_id"), table_name="runs")
    op.create_index(
        op.f("ix_runs_deleted_created_id_archived"),
        "runs",
        ["deleted", "created", "id", "archived"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_runs_deleted_created_id_archived"), table_name="runs")
    op.create_index(op.f("ix_runs_deleted_created_id"), "runs", ["deleted", "created", "id"], unique=False)
    op.drop_index(op.f("ix_runs_logs_revision"), table_name="runs")
    op.drop_column("runs", "logs_revision")
    op.drop_index(op.f("ix_trash_time"), table_name="trash")
    op.drop_table("trash")
