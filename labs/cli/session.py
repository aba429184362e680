"""`lab up`, `lab ps`, `lab kill` and the other verbs of a session, for a terminal."""

import json
from contextlib import nullcontext
from typing import Annotated, cast

import typer

from environment.client.connection import Client, owner
from environment.client.status import service_rows, text_table
from environment.errors import LabError
from environment.folders import live_sessions
from environment.nginx import ALGORITHMS, Algorithm
from environment.specification import Specification
from environment.states import SessionState
from environment.verbs import Verbs
from labs.cli.options import JsonOption, SessionOption, pairs, say
from labs.cli.output import CannotWrite

app = typer.Typer()

ServiceArgument = Annotated[str, typer.Argument(help="A service, such as payment-service.")]
ReplicaOption = Annotated[
    int | None, typer.Option("--replica", min=1, help="Only this replica, counted from 1.")
]


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise LabError(f"Expected a number of replicas for {name}, found {value!r}.") from None


def _verbs(client: Client) -> Verbs:
    """Return a session's verbs, which print their progress."""
    return client.verbs(lambda: nullcontext(say))


def _target(service: str, replica: int | None) -> str:
    return service if replica is None else f"{service}-{replica}"


@app.command()
def up(
    phase: Annotated[str, typer.Argument(help="A phase, such as phase0.")],
    runtime: Annotated[
        str, typer.Option(envvar="LAB_RUNTIME", help="auto, docker or process.")
    ] = "auto",
    scale: Annotated[list[str] | None, typer.Option(help="SVC=N, may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random decision.")] = 7,
    version: Annotated[list[str] | None, typer.Option(help="SVC=V, may be repeated.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="SVC.NAME=VALUE, may be repeated.")
    ] = None,
    database: Annotated[str, typer.Option(help="sqlite or postgresql.")] = "sqlite",
    ports: Annotated[
        str, typer.Option(help="free, or fixed: 3001-3006 for the services.")
    ] = "free",
    as_json: JsonOption = False,
) -> None:
    """Start a phase and leave it running; `lab down` ends it."""
    if ports not in ("free", "fixed"):
        raise LabError(f"--ports is free or fixed, not {ports!r}.")
    specification = Specification.checked(
        phase=phase,
        runtime=runtime,
        seed=seed,
        versions=dict(pairs(version or [], "SVC=V")),
        settings=_grouped(settings or []),
        replicas={name: _number(name, n) for name, n in pairs(scale or [], "SVC=N")},
        fixed_ports=ports == "fixed",
        database=database,
        owner=str(owner()),  # until it is up: a `lab up` that dies half-way leaves nothing
    )
    client = Client.launch(specification)
    try:
        state = _verbs(client).start()
        client.verbs().detach()
        _show(state, as_json)
    except KeyboardInterrupt:
        client.down()
        raise
    except CannotWrite as error:
        if not error.closed:  # the caller never gets the name of the session
            client.down()
        raise


def _grouped(assignments: list[str]) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {}
    for name, value in pairs(assignments, "SVC.NAME=VALUE"):
        service, dot, setting = name.partition(".")
        if not dot:
            raise LabError(f"Expected SVC.NAME=VALUE, found {name}={value!r}.")
        settings.setdefault(service, {})[setting] = value
    return settings


@app.command()
def ps(session: SessionOption = None, as_json: JsonOption = False) -> None:
    """Show the state of a session: services, versions, replicas, addresses, memory."""
    _show(Client.find(session).verbs().state(), as_json)


def _show(state: SessionState, as_json: bool) -> None:
    if as_json:
        print(json.dumps(state, indent=2))
        return
    title = f"{state['phase']}: session {state['session']} on {state['runtime']}"
    print(text_table(title, service_rows(state)))


@app.command()
def logs(
    service: Annotated[
        str, typer.Argument(help="A service, or one replica such as user-service-1.")
    ],
    session: SessionOption = None,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 100,
) -> None:
    """Show the last lines that a service logged."""
    print(Client.find(session).verbs().logs(service, lines))


@app.command()
def down(
    session: SessionOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All of this user's sessions.")] = False,
) -> None:
    """Drain and remove a session; with --all also what killed sessions left behind."""
    from environment.supervisor.sweep import sweep

    chosen = live_sessions() if everything else [Client.find(session).session]
    for name in chosen:
        Client(name).down()
        print(f"session {name} is removed")
    for name in sweep() if everything else []:
        print(f"removed what session {name} left behind")


@app.command("scale")
def scale_command(
    service: ServiceArgument,
    replicas: Annotated[int, typer.Argument(help="1 to 8.")],
    session: SessionOption = None,
) -> None:
    """Set the number of replicas of a service."""
    _verbs(Client.find(session)).scale(service, replicas)


@app.command("balance")
def balance_command(
    algorithm: Annotated[str, typer.Argument(help=f"{', '.join(ALGORITHMS)}.")],
    service: Annotated[str | None, typer.Argument(help="A service; else all.")] = None,
    weight: Annotated[
        list[int] | None, typer.Option(help="The first replica's share, then the second's, ...")
    ] = None,
    backup: Annotated[
        list[int] | None,
        typer.Option(help="A replica that gets requests only when all others are down."),
    ] = None,
    max_fails: Annotated[int, typer.Option(help="Failures until a replica is skipped.")] = 1,
    fail_timeout: Annotated[int, typer.Option(help="Seconds for which it is skipped.")] = 1,
    session: SessionOption = None,
) -> None:
    """Set how nginx chooses among the replicas of a service."""
    _verbs(Client.find(session)).balance(
        cast(Algorithm, algorithm),  # the supervisor checks it
        service,
        weights=weight or [],
        backup=backup or [],
        max_fails=max_fails,
        fail_timeout=fail_timeout,
    )


@app.command("set")
def set_command(
    service: ServiceArgument,
    settings: Annotated[list[str], typer.Argument(help="NAME=VALUE...")],
    session: SessionOption = None,
) -> None:
    """Replace the replicas of a service in place, with other settings."""
    values = dict(pairs(settings, "NAME=VALUE"))
    _verbs(Client.find(session)).configure(service, values)


@app.command()
def roll(
    service: ServiceArgument,
    version: str,
    replica: ReplicaOption = None,
    session: SessionOption = None,
) -> None:
    """Replace the replicas of a service by another version, one after the other."""
    chosen = [replica] if replica else []
    _verbs(Client.find(session)).roll(service, version, chosen)


@app.command()
def restart(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """Stop a service and start it again; its state on disk survives."""
    _verbs(Client.find(session)).restart([_target(service, replica)])


@app.command()
def kill(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """End a service by SIGKILL; `lab restart` starts it again."""
    Client.find(session).verbs().kill([_target(service, replica)])


@app.command()
def pause(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """Freeze a service: it accepts connections and never responds."""
    Client.find(session).verbs().pause([_target(service, replica)])


@app.command()
def heal(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """End the faults of a service, whatever caused them, and without --replica a replacement of its code."""
    _verbs(Client.find(session)).heal([_target(service, replica)])


@app.command()
def resume(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """The same as `lab heal`: end the faults of a service, a pause too."""
    _verbs(Client.find(session)).heal([_target(service, replica)])
