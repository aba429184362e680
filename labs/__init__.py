"""The labs: the notebooks, and the library their cells call."""
