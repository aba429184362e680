"""`lab images`: build, fetch and carry the images, with and without a registry."""

from pathlib import Path
from typing import Annotated

import typer

from labs.cli.options import say

app = typer.Typer(
    help="Build, fetch and carry the images, with and without a registry.", no_args_is_help=True
)


@app.command("build")
def build(
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Also build Kafka's image, which phases 4 and 5 need.")
    ] = False,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Also build PostgreSQL's image, another database.")
    ] = False,
) -> None:
    """Build the images: from a registry's base image where one answers, else with debootstrap."""
    from environment import images

    images.build(say)
    if kafka:
        images.build_kafka(say)
    if postgres:
        images.build_postgres(say)


@app.command("pull")
def pull() -> None:
    """Fetch the base images from a registry that answers."""
    from environment import images

    images.pull(say)


@app.command("bundle")
def bundle(path: Path) -> None:
    """Write the images to a file, for machines without a network."""
    from environment import images

    images.bundle(path, say)


@app.command("load")
def load(path: Path) -> None:
    """Read the images from a file that `lab images bundle` wrote."""
    from environment import images

    images.load(path, say)
