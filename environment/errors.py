"""What can go wrong with an environment. Each message says what happened, and what to do next."""


class LabError(Exception):
    """Something the reader can act on: the message ends with the next step."""


class DescriptionError(LabError):
    """docker-compose.yml or a phase file holds something that is not supported."""


class UnknownName(LabError):
    """A phase, service, setting, version or session that does not exist; the message lists those that do."""


class RuntimeUnavailable(LabError):
    """The runtime asked for cannot run here: absent, denied, or not answering."""


class NotReady(LabError):
    """A wait ended without its evidence: it timed out, or the awaited program died."""


class PortBusy(LabError):
    """A fixed port is held by another program."""


class SessionGone(LabError):
    """The session's supervisor does not answer: it was stopped, or it died."""


def error_kind(error: LabError) -> str:
    """Return the name by which an error's kind is sent to a client: its class, or the nearest base in this module."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in globals())
