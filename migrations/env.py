"""Runs migrations on the connection that `deepevent.store.migrate` hands over; there is no alembic.ini."""

from __future__ import annotations

from alembic import context

from deepevent.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
