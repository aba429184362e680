"""Make `python -m labs.cli` the command `lab`."""

from labs.cli.start import main

main()
