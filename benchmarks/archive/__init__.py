"""Benchmark of archives: assembled in S3, against ZIP libraries that stream through a process into a multipart upload.

`make benchmark-archive` runs it on SeaweedFS and writes docs/benchmarks/archive.md.
"""
