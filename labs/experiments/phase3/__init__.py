"""The experiments of phase 3, and what only they use."""
