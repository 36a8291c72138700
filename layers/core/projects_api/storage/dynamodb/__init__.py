"""The DynamoDB table: its keys, its items, and a store for each kind of entity."""
