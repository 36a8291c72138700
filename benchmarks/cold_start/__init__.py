"""Benchmark of cold starts: each function as built, against a bare client and a typical handler.

`make benchmark-cold-start` runs it and writes docs/benchmarks/cold_start.md.
"""
