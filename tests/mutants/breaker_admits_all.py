"""A mutant of the circuit breaker: half-open, it lets every waiting request through."""

import interlock

from tests.mutants.gateway import run_with

config = interlock.Config
EVERYBODY = 1000


def many_probes(**given: float) -> interlock.Config:
    probes = {"permitted_calls_in_half_open": EVERYBODY, "max_concurrent_probes": EVERYBODY}
    return config(**given | probes)  # type: ignore[arg-type]


if __name__ == "__main__":
    run_with(interlock, "Config", many_probes)
