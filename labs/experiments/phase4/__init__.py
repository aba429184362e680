"""The experiments of phase 4, and what only they use."""
