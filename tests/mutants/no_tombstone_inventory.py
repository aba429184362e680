"""A mutant of compensation first: an inventory-service that does not remember a cancel that it reads first."""

from tests.mutants.saga_cells import run_design

if __name__ == "__main__":
    run_design("no-tombstone-inventory", "inventory-service")
