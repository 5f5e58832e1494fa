"""Fuzzing: what comes from outside, in shapes nobody thought of. Targets, their inputs, the runner of `make fuzz`."""
