"""Wrong systems, live, that a verdict must fail. That the real one passes is what the labs show, in tests/notebooks."""
