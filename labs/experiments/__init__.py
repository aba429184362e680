"""The experiments, a folder for each phase. `labs/experiment.py` says what an experiment is."""
