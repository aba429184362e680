"""The client's side, which a cell or a command uses: an `Environment`, and its connection to the supervisor."""
