"""Everything on one machine: `make run`.

AWS is moto's server, where the stack of template.yaml is created through CloudFormation. The gateway is SAM CLI's own.
The functions run as on Lambda: each in processes of its own, with its own environment, one event at a time.
"""
