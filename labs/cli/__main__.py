"""Make `python -m labs.cli` the command `lab`."""

from labs.cli.main import main

main()
