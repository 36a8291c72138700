"""How long a function takes to start, in the built artifact, against a bare client and against the usual handler.

`make benchmark-cold-start` runs all of it and writes the tables into docs/benchmarks/cold_start.md.
"""
