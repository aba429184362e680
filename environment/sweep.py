"""Removes what sessions left behind whose supervisor died: by label, ours only, never what somebody still wants."""

from environment.errors import LabError
from environment.folders import sweep_folders
from environment.identity import Identity
from environment.runtimes.process import sweep_processes


def _gone(label: str) -> bool:
    try:
        return Identity.parse(label).gone()
    except ValueError:
        return False


def sweep() -> list[str]:
    """Ends processes, containers, networks, volumes and folders of dead sessions; returns their names.

    Without a Docker engine there is nothing of Docker's to sweep; a later sweep with one will find it.
    """
    swept = set(sweep_processes())
    try:
        from environment.images.engine import connect
        from environment.runtimes.docker import sweep_docker

        swept |= set(sweep_docker(connect(), _gone))
    except (LabError, ImportError):
        pass
    # Last: as long as a folder stands, somebody can read in its logs what happened.
    return sorted(swept | set(sweep_folders()))
