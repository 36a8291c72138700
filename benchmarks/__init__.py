"""Benchmarks, each against alternatives in the same run. docs/benchmarks holds the results that they write.

- ``benchmarks.archive``: assembling archives in S3, against ZIP libraries that stream through a process.
- ``benchmarks.cold_start``: starting each function, against a bare client and a typical handler.
- ``benchmarks.events``: recording events in batches, against one by one. It writes no file.
"""
