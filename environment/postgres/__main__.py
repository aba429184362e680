"""The start of one server: `python -m environment.postgres PROGRAMS`, in the image and on this machine alike.

It runs inside the image too, where there is nothing but Python's standard library. Its settings are environment
variables: `HOST` and `PORT` to listen on; `DATA_DIR` keeps every database; `DATABASES` lists the services, each of
which gets a role and a database of its name. `PROGRAMS` is the folder with PostgreSQL's `bin/`.

The file `password.conf` in `DATA_DIR` holds the password of all roles. Without one (plain Compose) none is asked for.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

from environment.postgres.segment import free_segment_at_end
from environment.postgres.user import give_to_unprivileged, is_root, leave_root

TEMPLATE = Path(__file__).with_name("postgresql.conf")
CLUSTER, PASSWORD, SUPERUSER = "cluster", "password.conf", "postgres"
"""In `DATA_DIR`: the folder of the databases, and the file with the password. And the role that owns the server."""


SINGLE = ("-c", "fsync=off", "-c", "log_checkpoints=off")


def configuration(environment: Mapping[str, str]) -> str:
    """Return postgresql.conf for these environment variables. Raises `KeyError` for one that is missing."""
    return Template(TEMPLATE.read_text()).substitute(
        host=environment["HOST"], port=environment["PORT"]
    )


def access(password: str) -> str:
    """Return pg_hba.conf: every connection asks for the password, if there is one."""
    return f"host all all all {'scram-sha-256' if password else 'trust'}\n"


def statements(databases: str, password: str) -> str:
    """Return the statements that make a role and a database for each name, one statement per line."""
    lines = []
    for name in databases.split():
        secret = f" PASSWORD '{password}'" if password else ""
        lines += [
            f'CREATE ROLE "{name}" LOGIN{secret};',
            f'CREATE DATABASE "{name}" OWNER "{name}" STRATEGY file_copy;',
            f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC;',
        ]
    return "".join(f"{line}\n" for line in lines)


def create_cluster(programs: str, databases: str, password: str) -> None:
    """Make the databases in a folder that gets its name when it is whole."""
    new = f"{CLUSTER}.new"
    shutil.rmtree(new, ignore_errors=True)  # one that was broken off
    options = [
        "--encoding=UTF8",
        "--wal-segsize=1",
        "--locale=C",
        "--locale-provider=builtin",
        "--no-sync",
    ]
    run = [f"{programs}/bin/initdb", "--pgdata", new, "--username", SUPERUSER, "--auth=reject"]
    subprocess.run(
        [*run, *options, "--builtin-locale=C.UTF-8", "--no-instructions"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    # In single-user mode: before anything listens.
    single = [f"{programs}/bin/postgres", "--single", "-D", new, *SINGLE, SUPERUSER]
    subprocess.run(
        single,
        input=statements(databases, password).encode(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    Path(new).rename(CLUSTER)


def main(programs: str) -> None:
    """Make the databases when there are none, then become the server, so that signals reach it directly."""
    os.chdir(os.environ["DATA_DIR"])
    secret = Path(PASSWORD)
    password = secret.read_text().strip() if secret.exists() else ""
    if is_root():
        give_to_unprivileged(Path())
        leave_root()
    if not Path(CLUSTER).exists():
        create_cluster(programs, os.environ["DATABASES"], password)
    Path(CLUSTER, "postgresql.conf").write_text(configuration(os.environ))
    Path(CLUSTER, "pg_hba.conf").write_text(access(password))
    free_segment_at_end(Path(CLUSTER, "postmaster.pid"))
    server = f"{programs}/bin/postgres"
    os.execv(server, [server, "-D", CLUSTER])


if __name__ == "__main__":
    main(*sys.argv[1:])
