"""Benchmarks: one file each, `run(say)` measures and returns one JSON object with its targets."""
