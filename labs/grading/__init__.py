"""Evidence bundles: what a student hands in, and how an instructor grades it without trusting it."""
