"""The command `lab`: the verbs of an environment, the runs and the book, for a terminal."""
