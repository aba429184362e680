"""A mutant of the cure: COUNTER_STORE=incr that reads, adds and writes, in two steps."""

from microservices.api_gateway import counter
from tests.mutants.gateway import run_with

if __name__ == "__main__":
    run_with(counter, "IncrCounter", counter.GetSetCounter)
