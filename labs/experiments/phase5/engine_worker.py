"""The saga as a workflow of an engine, DBOS, and the program that runs it: a worker.

`python -m labs.experiments.phase5.engine_worker URL FILE ORDER SECONDS` runs the workflow of one order. With a `FILE` in
which that workflow was begun, the engine goes on with it. The worker prints how the order ended. It ends when its
standard input does, and it reports to nothing outside this machine.
"""

import asyncio
import os
import sys
import threading

import httpx
from dbos import DBOS, DBOSConfig, SetWorkflowID, StepOptions, error

NO_ANSWER = "no answer in time"
PARTICIPANTS = ("payment", "inventory")


@DBOS.workflow()
async def buy(url: str, order: str, seconds: float) -> str:
    """Charge, reserve and confirm; when one of the first two is refused or not answered in time, compensate both."""
    if (
        await attempt(url, order, "payment", "OrderCreated", seconds) == "charged"
        and await attempt(url, order, "inventory", "PaymentCompleted", seconds) == "reserved"
    ):
        for participant in PARTICIPANTS:
            await insist(url, order, participant, "OrderConfirmed")
        return "completed"
    for participant in PARTICIPANTS:
        await insist(url, order, participant, "OrderCancelled")
    return "cancelled"


async def attempt(url: str, order: str, participant: str, event: str, seconds: float) -> str:
    """Run a step that may be given up after some seconds; return the participant's state."""
    options: StepOptions = {"name": f"{participant} {event}", "timeout_seconds": seconds}
    try:
        return await DBOS.run_step_async(options, send, url, order, participant, event)
    except (error.DBOSStepTimeoutError, ConnectionError):
        return NO_ANSWER  # the step may have had its effect, or may have it later


async def insist(url: str, order: str, participant: str, event: str) -> str:
    """Run a step that is tried until it succeeds; return the participant's state."""
    options: StepOptions = {
        "name": f"{participant} {event}",
        "retries_allowed": True,
        "max_attempts": 1000,
    }
    return await DBOS.run_step_async(options, send, url, order, participant, event)


async def send(url: str, order: str, participant: str, event: str) -> str:
    """Send an event to a participant; return its state then."""
    try:
        async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
            response = await client.post(f"{url}/{order}/{participant}/{event}")
            return str(response.raise_for_status().json()["state"])
    except httpx.HTTPError as problem:
        raise ConnectionError(str(problem)) from None  # the engine stores it, so it must be plain


async def work(url: str, file: str, order: str, seconds: float) -> None:
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
            await DBOS.start_workflow_async(buy, url, order, seconds)
    workflow = await DBOS.retrieve_workflow_async(order)
    print(await workflow.get_result(), flush=True)


def end_with_input() -> None:
    """End this process when its standard input ends: it does not outlive the program that started it."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_input, daemon=True).start()
    url, file, order, seconds = sys.argv[1:]
    asyncio.run(work(url, file, order, float(seconds)))
    os._exit(0)
