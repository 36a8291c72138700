"""The table, the buckets and the queues: how the domain's nouns are kept and handed on."""
