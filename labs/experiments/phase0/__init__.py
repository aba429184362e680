"""The experiments of phase 0, and what only they use."""
