"""Faster DynamoDB transactions in moto."""

from collections import defaultdict
from copy import deepcopy
from typing import Any

import pytest
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table


def patch_transactions(patch: pytest.MonkeyPatch) -> None:
    """Make copies of a table share its items, and copy an item only when it is updated.

    For each item of a transaction, moto copies the whole table, to restore it if the transaction is canceled. Without
    the patch, a transaction takes longer the more items the table has.
    """
    update_item = DynamoDBBackend.update_item

    def copy_table(table: Table, _: Any) -> Table:
        copy = Table.__new__(Table)
        copy.__dict__ |= table.__dict__
        copy.items = defaultdict(dict, {hash_key: dict(items) for hash_key, items in table.items.items()})
        return copy

    def update_copied_item(backend: DynamoDBBackend, table_name: str, key: Any, *args: Any, **options: Any) -> Item:
        table = backend.get_table(table_name)
        hash_key, range_key = backend.get_keys_value(table, key)
        if item := table.get_item(hash_key, range_key):
            table.items[hash_key][range_key] = deepcopy(item)  # moto updates the item in place
        return update_item(backend, table_name, key, *args, **options)

    patch.setattr(Table, "__deepcopy__", copy_table, raising=False)
    patch.setattr(DynamoDBBackend, "update_item", update_copied_item)
