"""A mutant of the circuit breaker: half-open, it passes every waiting request."""

import interlock

from tests.mutants.gateway import run_with

config = interlock.Config
ALL = 1000


def many_probes(**given: float) -> interlock.Config:
    probes = {"permitted_calls_in_half_open": ALL, "max_concurrent_probes": ALL}
    return config(**given | probes)  # type: ignore[arg-type]


if __name__ == "__main__":
    run_with(interlock, "Config", many_probes)
