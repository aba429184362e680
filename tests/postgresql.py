"""A PostgreSQL server for tests, started as the environment starts one, without a password."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import Connection, create_engine

from environment.compose import ROOT
from environment.runtimes.programs import POSTGRES, program
from environment.waiting import wait_until

START_SECONDS = 30.0


class PostgreSQL:
    """One server, with a user and a schema for each test: a database of its own would take a second."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port, self._folder, self._numbers = port, folder, count(1)
        self.start()
        self.engine = create_engine(self.url("postgres"))

    def url(self, user: str) -> str:
        """Return the address of a user, whose tables are in the schema of its name."""
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server on the data that there is; return when it accepts clients."""
        environment = {"HOST": "127.0.0.1", "PORT": str(self.port), "DATA_DIR": str(self._folder)}
        self._folder.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "environment.postgres", program(POSTGRES)],
                env=os.environ | environment | {"DATABASES": "", "PYTHONPATH": str(ROOT)},
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert wait_until(self.answers, timeout=START_SECONDS, every=0.05), self.log.read_text()

    @property
    def log(self) -> Path:
        return self._folder.with_suffix(".log")

    def answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            self.run("SELECT 1")
            return True
        assert self.process.poll() is None, self.log.read_text()
        return False

    def run(self, statement: str) -> None:
        """Run a statement as the superuser."""
        address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres?connect_timeout=2"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_schema(self) -> str:
        """Return the address of a new user without tables."""
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE ROLE {name} LOGIN; CREATE SCHEMA AUTHORIZATION {name}")
        return self.url(name)

    @contextmanager
    def undone(self) -> Iterator[Connection]:
        """Open a transaction that leaves nothing: tables that are made in it are undone, too."""
        with self.engine.connect() as connection:
            yield connection
            connection.rollback()

    def kill(self) -> None:
        """Send SIGKILL to the server; return when no process of it is left, and no connection to one."""
        self.engine.dispose()
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.engine.dispose()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
