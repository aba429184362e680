"""A mutant of off the loop: a thread that computes and holds the interpreter's lock until it is done."""

import sys

from microservices.api_gateway import computation
from tests.mutants.gateway import run_with

COMPUTE = computation.compute


def compute(seconds: float) -> float:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        return COMPUTE(seconds)
    finally:
        sys.setswitchinterval(usual)


if __name__ == "__main__":  # a process of the pool imports this module, too
    run_with(computation, "compute", compute)
