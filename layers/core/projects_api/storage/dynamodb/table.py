"""The table: strongly consistent reads, conditional updates and transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from projects_api import settings
from projects_api.entities.ids import new_id
from projects_api.storage import clients
from projects_api.storage.aws_errors import ContentionError, translate_aws_errors
from projects_api.storage.dynamodb.keys import PENDING_WORK, PRIMARY, Index, Item, identity, text
from projects_api.storage.retry import retry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        QueryInputTypeDef,
        TransactWriteItemTypeDef,
        WriteRequestOutputTypeDef,
    )

#: Maximum number of keys of a BatchGetItem and of writes of a BatchWriteItem
#: (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
BATCH_GET_LIMIT = 100
BATCH_WRITE_LIMIT = 25

#: Maximum number of writes of a TransactWriteItems (same page).
TRANSACTION_LIMIT = 100

#: Greatest value of a query's ``Limit``: a positive number of 32 bits.
MAX_QUERY_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a query's items, and whether there are more."""

    items: list[Item]
    has_more: bool


# -------------------------------------------------------------------------------------------------------- reads


def get_item(key: Item) -> Item | None:
    """Return the item at ``key``, or None if there is none."""
    with translate_aws_errors():
        response = clients.dynamodb().get_item(TableName=settings.table(), Key=key, ConsistentRead=True)
    return response.get("Item")


def get_items(keys: Sequence[Item]) -> dict[tuple[str, str], Item]:
    """Return the items at ``keys`` by their ``identity``, without the missing ones.

    More than 100 keys are read in parallel.
    """
    batches = [keys[start : start + BATCH_GET_LIMIT] for start in range(0, len(keys), BATCH_GET_LIMIT)]
    if len(batches) <= 1:
        results = [_get_batch(batch) for batch in batches]
    else:
        with ThreadPoolExecutor(min(len(batches), clients.MAX_CONNECTIONS)) as pool:
            results = list(pool.map(_get_batch, batches))
    return {identity(item): item for items in results for item in items}


def _get_batch(keys: Sequence[Item]) -> list[Item]:
    items: list[Item] = []
    remaining = list(keys)

    def attempt() -> None:
        nonlocal remaining
        with translate_aws_errors():
            response = clients.dynamodb().batch_get_item(
                RequestItems={settings.table(): {"Keys": remaining, "ConsistentRead": True}}
            )
        items.extend(response["Responses"].get(settings.table(), []))
        unprocessed = response["UnprocessedKeys"].get(settings.table())
        remaining = list(unprocessed["Keys"]) if unprocessed else []
        if remaining:
            raise ContentionError

    retry(attempt)
    return items


def query_page(
    pk: str,
    *,
    begins_with: str,
    index: Index = PRIMARY,
    after: Item | None = None,
    limit: int,
    descending: bool = False,
) -> Page:
    """Return a page of a partition's items. It has fewer than ``limit`` items if they take more than 1 MiB.

    The query reads one item more than ``limit``: a query that ends at its limit does not tell whether there are more.

    Args:
        pk: The partition key.
        begins_with: The prefix of the sort keys. Empty for the whole partition.
        index: What to sort by.
        after: The keys of the item to start after.
        limit: Maximum number of items to return.
        descending: Whether to return the greatest key first.
    """
    items, incomplete = _query(pk, begins_with, index, after, limit + 1, descending=descending)
    return Page(items[:limit], incomplete or len(items) > limit)


def query_all(
    pk: str,
    *,
    begins_with: str,
    index: Index = PRIMARY,
    after: Item | None = None,
    limit: int | None = None,
    page_size: int | None = None,
    descending: bool = False,
) -> Iterator[Item]:
    """Yield all items of a partition, or the first ``limit``.

    Args:
        pk: The partition key.
        begins_with: The prefix of the sort keys. Empty for the whole partition.
        index: What to sort by.
        after: The keys of the item to start after.
        limit: Maximum number of items to yield.
        page_size: Maximum number of items to read with one call. By default, a call reads 1 MiB.
        descending: Whether to yield the greatest key first.
    """
    remaining = limit
    while remaining is None or remaining > 0:
        next_limit = min((size for size in (remaining, page_size) if size is not None), default=None)
        items, incomplete = _query(pk, begins_with, index, after, next_limit, descending=descending)
        yield from items
        if not incomplete:
            return
        after = {name: items[-1][name] for name in {"PK", "SK", index.sort_key}}
        remaining = None if remaining is None else remaining - len(items)


def _query(
    pk: str, begins_with: str, index: Index, after: Item | None, limit: int | None, *, descending: bool
) -> tuple[list[Item], bool]:
    """Return the items of one Query call, and whether the call stopped before the end of the results."""
    request: QueryInputTypeDef = {
        "TableName": settings.table(),
        "KeyConditionExpression": "#pk = :pk",
        "ExpressionAttributeNames": {"#pk": "PK"},
        "ExpressionAttributeValues": {":pk": text(pk)},
        "ConsistentRead": True,
        "ScanIndexForward": not descending,
    }
    if begins_with:
        request["KeyConditionExpression"] = "#pk = :pk AND begins_with(#sk, :prefix)"
        request["ExpressionAttributeNames"] = {"#pk": "PK", "#sk": index.sort_key}
        request["ExpressionAttributeValues"] = {":pk": text(pk), ":prefix": text(begins_with)}
    if index.name:
        request["IndexName"] = index.name
    if after:
        request["ExclusiveStartKey"] = after
    if limit:
        request["Limit"] = min(limit, MAX_QUERY_LIMIT)
    with translate_aws_errors():
        response = clients.dynamodb().query(**request)
    return response["Items"], "LastEvaluatedKey" in response


def query_pending_work(kind_and_shard: str, *, until: str) -> Iterator[Item]:
    """Yield the keys of the items that are due by ``until``. Reads of this global index are eventually consistent."""
    pages = clients.dynamodb().get_paginator("query")
    with translate_aws_errors():
        for page in pages.paginate(
            TableName=settings.table(),
            IndexName=PENDING_WORK,
            KeyConditionExpression="pending_work = :shard AND due_at <= :until",
            ExpressionAttributeValues={":shard": text(kind_and_shard), ":until": text(until)},
        ):
            yield from page["Items"]


# ------------------------------------------------------------------------------------------------------- writes


def build_put(item: Item, *, condition: str = "", **placeholders: Any) -> TransactWriteItemTypeDef:
    """Return a write for ``transact`` that stores a whole item."""
    return _build_write("Put", {"Item": item}, condition, **placeholders)


def build_condition_check(key: Item, *, condition: str, **placeholders: Any) -> TransactWriteItemTypeDef:
    """Return a write for ``transact`` that only checks a condition."""
    return _build_write("ConditionCheck", {"Key": key}, condition, **placeholders)


def build_update(key: Item, expression: str, *, condition: str = "", **placeholders: Any) -> TransactWriteItemTypeDef:
    """Return a write for ``transact`` that updates an item."""
    return _build_write("Update", {"Key": key, "UpdateExpression": expression}, condition, **placeholders)


def build_delete(key: Item, *, condition: str = "", **placeholders: Any) -> TransactWriteItemTypeDef:
    """Return a write for ``transact`` that deletes an item."""
    return _build_write("Delete", {"Key": key}, condition, **placeholders)


def _build_write(
    kind: str, parameters: dict[str, Any], condition: str, **placeholders: Any
) -> TransactWriteItemTypeDef:
    write = {"TableName": settings.table(), **parameters, **_condition_parameters(condition, **placeholders)}
    return cast("TransactWriteItemTypeDef", {kind: write})


def _condition_parameters(
    condition: str, *, names: dict[str, str] | None = None, values: Item | None = None
) -> dict[str, Any]:
    """Return the parameters for a condition and for the placeholders of all expressions, without the empty ones."""
    parameters = {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD" if condition else None,
    }
    return {name: value for name, value in parameters.items() if value}


def transact(*writes: TransactWriteItemTypeDef) -> None:
    """Apply all of ``writes``, or none. A retry after a lost response does not apply them twice.

    Raises:
        ConditionFailedError: A condition did not hold. Its ``failed`` tells which, in the order of ``writes``.
    """
    token = new_id()

    def attempt() -> None:
        with translate_aws_errors():
            clients.dynamodb().transact_write_items(TransactItems=list(writes), ClientRequestToken=token)

    retry(attempt)


def update_item(
    key: Item, expression: str, *, condition: str, names: dict[str, str] | None = None, values: Item | None = None
) -> Item:
    """Update an item, and return the updated item.

    Raises:
        ConditionFailedError: The condition did not hold.
    """

    def attempt() -> Item:
        with translate_aws_errors():
            response = clients.dynamodb().update_item(
                TableName=settings.table(),
                Key=key,
                UpdateExpression=expression,
                ReturnValues="ALL_NEW",
                **_condition_parameters(condition, names=names, values=values),
            )
        return response["Attributes"]

    return retry(attempt)


def delete_items(keys: Sequence[Item]) -> None:
    """Delete the items at ``keys``, 25 per call."""
    for start in range(0, len(keys), BATCH_WRITE_LIMIT):
        remaining: list[WriteRequestOutputTypeDef] = [
            {"DeleteRequest": {"Key": key}} for key in keys[start : start + BATCH_WRITE_LIMIT]
        ]

        def attempt() -> None:
            nonlocal remaining
            with translate_aws_errors():
                response = clients.dynamodb().batch_write_item(RequestItems={settings.table(): remaining})
            remaining = response["UnprocessedItems"].get(settings.table(), [])
            if remaining:
                raise ContentionError

        retry(attempt)
