"""The parts of `benchmarks.engine`: our engine beside others, on random weights, on the bundled model, in 4 GB."""
