"""Benchmarks: each prints a ratio against a named baseline that was taken in the same run."""
