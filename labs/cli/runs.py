"""`lab run`, `lab open` and `lab handbook`: the labs headless, in JupyterLab, and as a book."""

from pathlib import Path
from typing import Annotated

import typer

from labs.cli.options import errors, pairs

app = typer.Typer()


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
    repetitions: Annotated[
        int,
        typer.Option(
            envvar="LAB_REPETITIONS",
            min=0,
            help="How often an inconclusive measurement is repeated.",
        ),
    ] = 3,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the run records; default: runs/.")
    ] = None,
) -> None:
    """Run labs headless, with progress and a report; exit non-zero when a verdict fails."""
    from labs.running.headless import run_labs

    chosen = dict(pairs(parameters or [], "NAME=VALUE"))
    raise typer.Exit(
        run_labs(
            phases or [],
            profile=profile,
            runtime=runtime,
            parameters=chosen,
            repetitions=repetitions,
            out=out,
        )
    )


@app.command("open")
def open_command(
    phase: Annotated[
        str | None, typer.Argument(help="A phase; default: the folder of all labs.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Whether to open a browser.")] = True,
) -> None:
    """Open JupyterLab on your own copy of a lab, in my-labs/; new versions of a lab are merged into it."""
    from labs.running.jupyter import open_lab

    raise typer.Exit(open_lab(phase, browser=browser))


@app.command()
def handbook(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Fail on a dead link, a claim that does not hold, and the like."
        ),
    ] = False,
    static: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a site to publish into this folder.")
    ] = None,
    repository: Annotated[
        str,
        typer.Option(metavar="URL", help="With --static: where its links to source files lead."),
    ] = "",
    record: Annotated[
        bool, typer.Option("--record", help="Store this machine's numbers as the book's reference.")
    ] = False,
) -> None:
    """Build the course book, with the figures and numbers of this machine's runs, and print its path."""
    from labs.running.site import BookError, build_site, record_reference

    if record:
        record_reference()
    try:
        with errors.status("building the handbook (ten to twenty seconds)"):
            page = build_site(
                static, strict=check, published=static is not None, repository=repository
            )
    except BookError as error:
        for problem in error.problems:
            print(problem)
        raise typer.Exit(1) from None
    print(page)
