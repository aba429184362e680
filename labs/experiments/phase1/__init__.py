"""The experiments of phase 1, and what only they use."""
