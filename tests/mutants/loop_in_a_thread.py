"""A mutant of CPU-bound blocking: what should block the event loop, `where=loop`, computes in a thread."""

from microservices.api_gateway.computation import Computation, Where
from tests.mutants.gateway import run_with

RUN = Computation.run


async def run(self: Computation, seconds: float, where: Where) -> float:
    return await RUN(self, seconds, "thread" if where == "loop" else where)


if __name__ == "__main__":  # a process of the pool imports this module, too
    run_with(Computation, "run", run)
