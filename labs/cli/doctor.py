"""`lab doctor`: what this machine can run, what is missing, and how to get it."""

import json

import typer
from rich.console import Console

from labs.cli.options import JsonOption

app = typer.Typer()

MARKS = {
    "ok": "[green]ok     [/]",
    "missing": "[yellow]missing[/]",
    "broken": "[red]broken [/]",
}


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Show what this machine can run, what is missing, and how to get it."""
    from environment.client.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(f"{MARKS[finding.state]} {finding.what}: {finding.result}")
            if finding.next_step:
                print(f"        next: {finding.next_step}")
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
