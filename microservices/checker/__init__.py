"""A model checker for the saga: walks every interleaving of its tables, and shows the shortest way to a wrong state.

The tables are the services' own (`saga.py` of each participant). `model.py` is the world around them, `search.py` the
walk, `properties.py` what must hold, `mutants.py` the wrong designs that it must find.
"""
