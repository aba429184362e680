"""Which runtime a session gets, and why."""

from environment.errors import RuntimeUnavailable
from environment.progress import Say
from environment.specification import RuntimeName


def choose(wanted: RuntimeName, say: Say) -> tuple[str, str]:
    """Return the runtime to use, and the reason.

    `auto` takes Docker when its engine answers and the images are at hand or can be made, else processes. Raises
    `RuntimeUnavailable` when `docker` was asked for by name and cannot be had.
    """
    if wanted == "process":
        return "process", "asked for"
    try:
        reason = _docker(say)
    except RuntimeUnavailable as error:
        if wanted == "docker":
            raise
        reason = str(error).splitlines()[0]
        say(f"running as plain processes: {reason}")
        return "process", reason
    return "docker", "asked for" if wanted == "docker" else reason


def _docker(say: Say) -> str:
    from environment import images
    from environment.images.engine import connect

    connect().close()
    if images.present():
        return "the Docker engine answers and the images are at hand"
    possible, reason = images.buildable()
    if not possible:
        raise RuntimeUnavailable(
            f"The Docker engine answers, but there are no images and none can be made here: {reason}"
        )
    say(f"the images are not at hand; building them first ({reason})")
    return f"the Docker engine answers and the images can be made: {reason}"
