"""Run by Alembic: migrates over the connection that `migrate` opened."""

from __future__ import annotations

from alembic import context

from blemish.station.database.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
