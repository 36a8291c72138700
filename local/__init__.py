"""The whole service on one machine: `make run`.

- moto's server stands in for AWS. The stack of template.yaml is created there through CloudFormation.
- SAM CLI's gateway serves the API over HTTP.
- Every function runs as on Lambda: in processes of its own, with its own environment variables, one event at a time.
- A poller for each queue and a thread for each schedule stand in for event source mappings and EventBridge Scheduler.
"""
