"""A mutant of blocking vs non-blocking: the route named non-blocking blocks the event loop."""

from microservices.api_gateway import api
from tests.mutants.gateway import run_with

if __name__ == "__main__":
    (route,) = (each for each in api.router.routes if each.path == "/api/non-blocking")
    run_with(route.dependant, "call", api.get_blocking)
