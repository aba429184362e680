"""The kernel of a lab: IPython's, without the settings and start-up files of this machine.

Run as `python -P -m labs.running.kernel -f FILE`. Those of the user are out of its reach already: `IPYTHONDIR` is a
folder of one run (labs/running/jupyter.py).
"""

from ipykernel.kernelapp import launch_new_instance
from IPython.core import application

if __name__ == "__main__":
    application.SYSTEM_CONFIG_DIRS.clear()
    application.ENV_CONFIG_DIRS.clear()
    launch_new_instance()
