"""The experiments, a folder for each phase. `labs/experiment.py` defines what an experiment is."""
