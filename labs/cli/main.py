"""`lab`: the verbs of an environment for a terminal, and what scripts and CI use."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer
from rich.console import Console

from environment.client.connection import Client, owner
from environment.client.status import service_rows, text_table
from environment.errors import LabError
from environment.folders import live_sessions
from environment.nginx import ALGORITHMS, Algorithm
from environment.specification import Specification
from environment.states import SessionState
from environment.verbs import Verbs
from labs.cli.kafka import kafka_app
from labs.cli.options import JsonOption, SessionOption, pairs

app = typer.Typer(
    name="lab",
    help="Microservices Lab: start, scale, break and heal the system of a phase, and run its labs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
images_app = typer.Typer(help="The images, with and without a registry.", no_args_is_help=True)
app.add_typer(images_app, name="images")
app.add_typer(kafka_app, name="kafka")

errors = Console(stderr=True, highlight=False)

ServiceArgument = Annotated[str, typer.Argument(help="A service, such as payment-service.")]
ReplicaOption = Annotated[
    int | None, typer.Option("--replica", min=1, help="Only this replica, counted from 1.")
]


def say(line: str) -> None:
    """Prints progress where it does not disturb what a script reads."""
    errors.print(f"  {line}", style="dim", markup=False)


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
def doctor(as_json: JsonOption = False) -> None:
    """What this machine can run, what is missing, and how to get it."""
    from environment.client.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            mark = {
                "ok": "[green]ok     [/]",
                "missing": "[yellow]missing[/]",
                "broken": "[red]broken [/]",
            }
            Console(highlight=False, soft_wrap=True).print(
                f"{mark[finding.state]} {finding.what}: {finding.found}"
            )
            if finding.next_step:
                print(f"        next: {finding.next_step}")
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


@app.command()
def up(
    phase: Annotated[str, typer.Argument(help="A phase, such as phase0.")],
    runtime: Annotated[str, typer.Option(help="auto, docker or process.")] = "auto",
    scale: Annotated[list[str] | None, typer.Option(help="SVC=N, may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Decides every chance event.")] = 7,
    version: Annotated[list[str] | None, typer.Option(help="SVC=V, may be repeated.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="SVC.NAME=VALUE, may be repeated.")
    ] = None,
    ports: Annotated[
        str, typer.Option(help="free, or fixed: 3001-3006 for the services.")
    ] = "free",
    as_json: JsonOption = False,
) -> None:
    """Starts a phase and leaves it running; `lab down` ends it."""
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
        owner=str(owner()),  # until it is up: a `lab up` that dies half-way leaves nothing
    )
    client = Client.launch(specification)
    try:
        state = _verbs(client).start()
        client.verbs().detach()
    except KeyboardInterrupt:
        client.down()
        raise
    _show(state, as_json)


def _grouped(words: list[str]) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {}
    for name, value in pairs(words, "SVC.NAME=VALUE"):
        service, dot, setting = name.partition(".")
        if not dot:
            raise LabError(f"Expected SVC.NAME=VALUE, found {name}={value!r}.")
        settings.setdefault(service, {})[setting] = value
    return settings


@app.command()
def ps(session: SessionOption = None, as_json: JsonOption = False) -> None:
    """The state of a session: services, versions, replicas, addresses, memory."""
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
    """The last lines that a service wrote."""
    print(Client.find(session).verbs().logs(service, lines))


@app.command()
def down(
    session: SessionOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All of this user's sessions.")] = False,
) -> None:
    """Drains and removes a session, and what dead ones left behind."""
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
    """Makes N the number of replicas of a service."""
    _verbs(Client.find(session)).scale(service, replicas)


@app.command("balance")
def balance_command(
    algorithm: Annotated[str, typer.Argument(help=f"{', '.join(ALGORITHMS)}.")],
    service: Annotated[str | None, typer.Argument(help="A service; else all.")] = None,
    weight: Annotated[
        list[int] | None, typer.Option(help="The first replica's share, then the second's, ...")
    ] = None,
    backup: Annotated[
        list[int] | None, typer.Option(help="A replica to ask only when no other can be.")
    ] = None,
    max_fails: Annotated[int, typer.Option(help="Failures until a replica is passed over.")] = 1,
    fail_timeout: Annotated[int, typer.Option(help="Seconds for which it is passed over.")] = 1,
    session: SessionOption = None,
) -> None:
    """How nginx chooses among the replicas of a service."""
    Client.find(session).verbs().balance(
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
    """Replaces the replicas of a service in place, with other settings."""
    values = dict(pairs(settings, "NAME=VALUE"))
    _verbs(Client.find(session)).configure(service, values)


@app.command()
def roll(
    service: ServiceArgument,
    version: str,
    replica: ReplicaOption = None,
    session: SessionOption = None,
) -> None:
    """Replaces the replicas of a service one after the other by another version."""
    chosen = [replica] if replica else []
    _verbs(Client.find(session)).roll(service, version, chosen)


@app.command()
def restart(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """Stops a service and starts it again; its state on disk survives."""
    _verbs(Client.find(session)).restart([_target(service, replica)])


@app.command()
def kill(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """SIGKILL; `lab restart` brings it back."""
    Client.find(session).verbs().kill([_target(service, replica)])


@app.command()
def pause(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """Freezes a service: it accepts connections and never answers."""
    Client.find(session).verbs().pause([_target(service, replica)])


@app.command()
def resume(
    service: ServiceArgument, replica: ReplicaOption = None, session: SessionOption = None
) -> None:
    """Lets a paused service go on."""
    _verbs(Client.find(session)).heal([_target(service, replica)])


@app.command()
def run(
    phases: Annotated[list[str] | None, typer.Argument(help="Phases; default: all.")] = None,
    profile: Annotated[str, typer.Option(envvar="LAB_PROFILE", help="quick or full.")] = "quick",
    runtime: Annotated[
        str, typer.Option(envvar="LAB_RUNTIME", help="auto, docker or process.")
    ] = "auto",
    parameters: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="NAME=VALUE, may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the run records go; default: runs/.")
    ] = None,
) -> None:
    """Runs labs headless, with progress and a report; exits non-zero when a verdict fails."""
    from labs.running.headless import run_labs

    chosen = dict(pairs(parameters or [], "NAME=VALUE"))
    raise typer.Exit(
        run_labs(phases or [], profile=profile, runtime=runtime, parameters=chosen, out=out)
    )


@app.command("open")
def open_command(
    phase: Annotated[str | None, typer.Argument(help="A phase; default: the list of labs.")] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser as well.")] = True,
) -> None:
    """Opens JupyterLab on the labs."""
    from labs.running.jupyter import open_lab

    raise typer.Exit(open_lab(phase, browser=browser))


@app.command()
def handbook() -> None:
    """Writes the course book, with the figures of this machine's runs, and says where it is."""
    from labs.running.book import write_book

    print(write_book())


@images_app.command("build")
def images_build(
    kafka: Annotated[bool, typer.Option("--kafka", help="Kafka's too, as phase 4 needs.")] = False,
) -> None:
    """Makes the images: from a registry's base where one answers, else with debootstrap."""
    from environment import images

    images.build(say)
    if kafka:
        images.build_kafka(say)


@images_app.command("pull")
def images_pull() -> None:
    """Fetches the base images where a registry answers."""
    from environment import images

    images.pull(say)


@images_app.command("bundle")
def images_bundle(path: Path) -> None:
    """Writes the images to a file, for machines without a network."""
    from environment import images

    images.bundle(path, say)


@images_app.command("load")
def images_load(path: Path) -> None:
    """Reads the images from a file that `bundle` wrote."""
    from environment import images

    images.load(path, say)


def main() -> NoReturn:
    """Runs a command; what a user can act on is printed as such, without a traceback."""
    try:
        app(standalone_mode=True)
    except LabError as error:
        errors.print("error:", style="bold red", end=" ")
        errors.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("interrupted", style="bold red")
        sys.exit(130)
    sys.exit(0)
