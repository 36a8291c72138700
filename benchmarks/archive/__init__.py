"""Archives of what lies in S3: assembled inside of it, against ZIP makers piped into a multipart upload.

`make benchmark-archive` runs all of it on SeaweedFS and writes the table into docs/benchmarks/archive.md.
"""
