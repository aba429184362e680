"""The experiments of phase 2, and what only they use."""
