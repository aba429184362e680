"""The removal of what sessions left behind whose supervisor died: ours only, never what is in use.

`python -m environment.supervisor.sweep` does it once; the watchdog of a session runs that.
"""

import shutil
from contextlib import closing, suppress

from environment.errors import LabError
from environment.folders import abandoned_folders
from environment.identity import Identity
from environment.runtimes.process_record import ProcessRecord
from environment.runtimes.process_removal import sweep_processes


def _gone(label: str) -> bool:
    try:
        return Identity.parse(label).gone()
    except ValueError:
        return False


def sweep() -> list[str]:
    """End processes, containers, networks, volumes and folders of dead sessions; return their names.

    Without a Docker engine there is nothing of Docker's to sweep; a later sweep with one will find it.
    """
    swept = set(sweep_processes())
    folders = abandoned_folders()
    for folder in folders:
        ProcessRecord(folder).kill()
    with suppress(LabError):
        swept |= set(_sweep_docker())
    # Last, and only when none of its processes is left: no other place remembers them.
    for folder in folders:
        if not ProcessRecord(folder).living():
            shutil.rmtree(folder, ignore_errors=True)
    return sorted(swept | {folder.name for folder in folders})


def _sweep_docker() -> list[str]:
    # The Docker SDK takes a third of a second to import, and not every session needs it.
    from environment.images.engine import WORK_SECONDS, connect
    from environment.images.workshop import sweep_scratch
    from environment.runtimes.docker_removal import sweep_docker

    sweep_scratch()
    with closing(connect(patience=WORK_SECONDS)) as client:
        return sweep_docker(client, _gone)


if __name__ == "__main__":
    sweep()
