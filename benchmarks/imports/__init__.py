"""Benchmark of imports: an archive whose files S3 copies, against one whose files a process reads and puts.

`make benchmark-imports` runs it on SeaweedFS and writes docs/benchmarks/imports.md.
"""
