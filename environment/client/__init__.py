"""The side that a cell or a command talks to: an `Environment`, and its connection to the supervisor."""
