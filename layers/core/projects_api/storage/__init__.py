"""Access to AWS: the DynamoDB table, the S3 buckets, the SQS queues and the EventBridge bus."""
