"""Patches of moto's DynamoDB: transactions whose cost is independent of the table's size, and client request tokens.

For each item of a transaction, moto copies the whole table, to restore it if the transaction is canceled. With 6,000
items a transaction takes 344 ms instead of 3 ms. moto also ignores ``ClientRequestToken``, so a transaction that is
sent again fails its own conditions.

What could be offered to moto: in ``DynamoDBBackend.transact_write_items``, remember the items that the transaction
touches instead of copying the tables, and in ``DynamoHandler.transact_write_items``, return the first result for a
repeated token, as below.
"""

import hashlib
import json
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

#: How long DynamoDB remembers a token, in seconds:
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
TOKEN_LIFETIME = 600

#: The attribute of a backend that holds its tokens. moto removes it when it resets the backend.
TOKENS = "_client_request_tokens"

#: The position of ``index_name`` among the arguments of ``Table.query`` after the partition key.
INDEX_ARGUMENT = 6

_transact_write_items = DynamoDBBackend.transact_write_items
_handle_transact_write_items = DynamoHandler.transact_write_items
_query = Table.query


class TokenMismatchError(DynamodbException):  # type: ignore[misc]  # moto has no types
    """A token was used again with other items."""

    def __init__(self) -> None:
        super().__init__(
            "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
            "The request uses the same client token as a previous, but non-identical request.",
        )


@dataclass(slots=True)
class _TouchedItem:
    """An item that a transaction touches.

    Attributes:
        table: The table of the item.
        keys: The partition key and the sort key, which is None if the table has none.
        before: The item before the transaction, or None if it did not exist.
    """

    table: Table
    keys: tuple[DynamoType, DynamoType | None]
    before: Item | None

    def restore(self) -> None:
        hash_key, range_key = self.keys
        items: Any = self.table.items if range_key is None else self.table.items[hash_key]
        key = hash_key if range_key is None else range_key
        if self.before is None:
            items.pop(key, None)
        else:
            items[key] = self.before


def patch_transactions() -> None:
    """Patch moto in this process. Calling it again changes nothing."""
    DynamoDBBackend.transact_write_items = _transact_without_copying
    DynamoHandler.transact_write_items = _transact_once
    Table.query = _query_partition


def _transact_without_copying(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Process a transaction. If it fails, restore the items that it touches."""
    operations = [operation for item in transact_items for operation in item.values()]
    names = {operation.get("TableName") for operation in operations}
    tables = [table for name in names if (table := backend.tables.get(name))]
    if any(table.stream_shard for table in tables):  # moto restores the stream from its copy
        _transact_write_items(backend, transact_items)
        return
    touched = [item for operation in operations if (item := _touched_item(backend, operation))]
    for table in tables:
        table.__dict__["__deepcopy__"] = lambda _, table=table: table  # moto's own copy is not needed
    try:
        _transact_write_items(backend, transact_items)
    except Exception:
        for item in touched:
            item.restore()
        raise
    finally:
        for table in tables:
            del table.__dict__["__deepcopy__"]


def _touched_item(backend: DynamoDBBackend, operation: dict[str, Any]) -> _TouchedItem | None:
    """Return the item that an operation names, or None if moto rejects the operation."""
    table = backend.tables.get(operation.get("TableName", ""))
    attributes = operation.get("Key") or operation.get("Item") or {}
    if table is None or any(name not in attributes for name in table.table_key_attrs):
        return None
    hash_key, *rest = (DynamoType(attributes[name]) for name in table.table_key_attrs)
    keys = (hash_key, rest[0] if rest else None)
    return _TouchedItem(table, keys, deepcopy(table.get_item(*keys)))  # a copy: moto updates an item in place


def _transact_once(handler: DynamoHandler) -> Any:
    """Process a transaction unless its token has been used, in which case return the first result."""
    token = handler.body.get("ClientRequestToken")
    if not token:
        return _handle_transact_write_items(handler)
    tokens: dict[str, tuple[float, bytes, Any]] = handler.dynamodb_backend.__dict__.setdefault(TOKENS, {})
    now = time.monotonic()
    for expired in [used for used, (expires_at, _, _) in tokens.items() if expires_at <= now]:
        del tokens[expired]
    content = json.dumps(handler.body["TransactItems"], sort_keys=True, default=repr).encode()
    fingerprint = hashlib.sha256(content).digest()
    if token in tokens:
        _, first_fingerprint, result = tokens[token]
        if fingerprint != first_fingerprint:
            raise TokenMismatchError
        return result
    result = _handle_transact_write_items(handler)
    tokens[token] = (now + TOKEN_LIFETIME, fingerprint, result)
    return result


def _query_partition(table: Table, hash_key: DynamoType | None, *args: Any, **options: Any) -> Any:
    """Query a table or a local index in the items of its partition only. moto sorts all items of the table first."""
    index = options.get("index_name") or (args[INDEX_ARGUMENT] if len(args) > INDEX_ARGUMENT else None)
    is_local = index is None or any(local.name == index for local in table.indexes)
    if hash_key is None and is_local and (conditions := options.get("hash_key_conditions")):
        ((_, hash_key),) = conditions
    if hash_key is None or not is_local or not table.has_range_key:
        return _query(table, hash_key, *args, **options)
    partition = Table.__new__(Table)
    partition.__dict__ |= table.__dict__ | {"items": {hash_key: table.items.get(hash_key, {})}}
    return _query(partition, hash_key, *args, **options)
