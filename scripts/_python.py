"""End with a sentence under a Python that is too old, before it meets syntax or modules that it does not have.

The commands of this folder import this file first. These four files are written so that Python 2.7 can read them.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever Python the machine has
    sys.exit(
        "This project needs Python 3.11 or newer; this is Python {}.{}. "
        "Run the same command with a newer one, for example `python3.12`.".format(*sys.version_info)
    )
if sys.platform == "win32":
    sys.exit("This project runs on Linux and macOS. On Windows, run it inside WSL2.")
