"""Running the migrations on an open connection. They stand in `migrations/versions`, one file a revision."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def configuration(connection: sa.Connection) -> Config:
    """Alembic's configuration without a file: where the migrations are and what to run them on."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def run(connection: sa.Connection, revision: str) -> None:
    """Up to a revision (`head`), or down to one written with a minus sign or `base`."""
    made = configuration(connection)
    if revision == "base" or revision.startswith("-"):
        command.downgrade(made, revision)
    else:
        command.upgrade(made, revision)
