"""Access to the artifacts and exports buckets in Amazon S3."""
