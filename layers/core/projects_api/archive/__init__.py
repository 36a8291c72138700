"""The ZIP archive of an export: its format, plan, paths, manifest and checksums, all without access to AWS."""
