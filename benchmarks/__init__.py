"""What is fast, against its peers, in one run. Each says how to run it; the figures are in docs/benchmarks.md."""
