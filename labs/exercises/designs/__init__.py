"""Exercises in which the student designs a measurement: how a design, its samples and its conclusion are checked."""
