"""Start, scale, break and remove the system that docker-compose.yml describes.

from environment import Environment

with Environment("phase0") as env:
    env["payment-service"].url
"""

from environment.client.connection import stop_owned
from environment.client.environment import Environment
from environment.client.targets import Fault, Replica, Service
from environment.errors import LabError
from environment.outside import set_aside

__all__ = ["Environment", "Fault", "LabError", "Replica", "Service", "stop_owned"]

set_aside()
