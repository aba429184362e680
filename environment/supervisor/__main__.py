"""`python -m environment.supervisor`, with the specification as the first line on standard input."""

from environment.supervisor.server import main

main()
