"""How alembic runs here: on the connection that the program opened, in its transaction."""

from alembic import context
from sqlmodel import SQLModel

import aggregator.store.tables  # noqa: F401  the tables that the schema is compared with

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
    # SQLite too: the connection begins its transactions itself
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
