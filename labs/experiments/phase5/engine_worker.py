"""The saga as a workflow of an engine, DBOS, and the program that runs it: a worker.

`python -m labs.experiments.phase5.engine_worker HOST:PORT FILE ORDER SECONDS` runs the workflow of one order. When the
engine's `FILE` has that workflow, the worker goes on with it. A charge and a reservation are given up after `SECONDS`,
with 0 never. The worker prints how the order ended. It ends when its standard input does, and it reports to nothing
outside this machine.
"""

import asyncio
import json
import os
import sys
import threading
from http import HTTPStatus
from http.client import HTTPConnection

from dbos import DBOS, DBOSConfig, SetWorkflowID, StepOptions, WorkflowHandleAsync, error

NO_ANSWER = "no answer in time"
PARTICIPANTS = ("payment", "inventory")


@DBOS.workflow()
async def buy(address: str, order: str, seconds: float) -> str:
    """Charge, reserve and confirm; when one of the first two is refused or not answered in time, compensate both."""
    if (
        await attempt(address, order, "payment", "OrderCreated", seconds) == "charged"
        and await attempt(address, order, "inventory", "PaymentCompleted", seconds) == "reserved"
    ):
        for participant in PARTICIPANTS:
            await insist(address, order, participant, "OrderConfirmed")
        return "completed"
    for participant in PARTICIPANTS:
        await insist(address, order, participant, "OrderCancelled")
    return "cancelled"


async def attempt(address: str, order: str, participant: str, event: str, seconds: float) -> str:
    """Run a step that is given up after some seconds; return the participant's state."""
    options: StepOptions = {"name": f"{participant} {event}", "timeout_seconds": seconds or None}
    try:
        return await DBOS.run_step_async(options, send, address, order, participant, event)
    except (error.DBOSStepTimeoutError, OSError):
        return NO_ANSWER  # the step may have had its effect, or may have it later


async def insist(address: str, order: str, participant: str, event: str) -> str:
    """Run a step that is tried until it succeeds; return the participant's state."""
    options: StepOptions = {
        "name": f"{participant} {event}",
        "retries_allowed": True,
        "max_attempts": 1000,
    }
    return await DBOS.run_step_async(options, send, address, order, participant, event)


async def send(address: str, order: str, participant: str, event: str) -> str:
    """Send an event to a participant; return its state then."""
    return await asyncio.to_thread(post, address, f"/{order}/{participant}/{event}")


def post(address: str, path: str) -> str:
    """Send one request; return the state in the response."""
    connection = HTTPConnection(address)
    connection.request("POST", path)
    response = connection.getresponse()
    if response.status != HTTPStatus.OK:
        raise ConnectionError(f"{path}: status {response.status}")
    return str(json.load(response)["state"])


async def work(address: str, file: str, order: str, seconds: float) -> None:
    """Begin the workflow of an order, or go on with it, and print how it ended."""
    config: DBOSConfig = {
        "name": "engine",
        "system_database_url": f"sqlite:///{file}",
        # Both are the same after a restart, so that the next worker goes on with what this one began.
        "application_version": "1",
        "executor_id": "worker",
        "enable_otlp": False,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    if await DBOS.get_workflow_status_async(order) is None:
        with SetWorkflowID(order):
            await DBOS.start_workflow_async(buy, address, order, seconds)
    workflow: WorkflowHandleAsync[str] = await DBOS.retrieve_workflow_async(order)
    print(await workflow.get_result(), flush=True)


def end_with_input() -> None:
    """End this process when its standard input ends: it does not outlive the program that started it."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_input, daemon=True).start()
    address, file, order, seconds = sys.argv[1:]
    asyncio.run(work(address, file, order, float(seconds)))
    os._exit(0)
