"""A mutant of replay: a new reader that begins with the old view, and without what was consumed and counted for it."""

import shutil
import sqlite3
from contextlib import closing

from microservices.kit.database import Database
from microservices.kit.events import app
from microservices.kit.settings import Settings
from tests.mutants.service import run_with

open_database = app.open_database


def open_with_old_view(service: str, settings: Settings) -> Database:
    old, new = (
        folder / f"{service}.db" for folder in (settings.data_dir.parent, settings.data_dir)
    )
    if old.exists() and not new.exists():
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(old, new)
        with closing(sqlite3.connect(new)) as connection:
            connection.execute("DELETE FROM inbox")
            connection.execute("DELETE FROM counted")
            connection.commit()
    return open_database(service, settings)


if __name__ == "__main__":
    run_with("analytics-service", app, "open_database", open_with_old_view)
