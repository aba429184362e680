"""Starts a real service, or the mutant of it that MUTANT names.

`python -m tests.mutants.chosen order_service 2`: so one environment has each of them in turn, beside the same broker.
"""

import os
import runpy
import sys

NONE = "none"

if __name__ == "__main__":
    service, mutant = sys.argv.pop(1), os.environ["MUTANT"]
    module = f"microservices.{service}" if mutant == NONE else f"tests.mutants.{mutant}"
    runpy.run_module(module, run_name="__main__")
