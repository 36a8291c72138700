"""The table: reads that are always consistent, and writes that all happen or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from projects_api import settings
from projects_api.entities.ids import new_id
from projects_api.storage import clients
from projects_api.storage.aws_errors import ContentionError, translate_aws_errors
from projects_api.storage.dynamodb.keys import PENDING_WORK, PRIMARY, Index, Item, text
from projects_api.storage.retry import retry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        QueryInputTypeDef,
        TransactWriteItemTypeDef,
        WriteRequestOutputTypeDef,
    )

#: BatchGetItem takes at most this many keys, BatchWriteItem a quarter of that (DynamoDB, "Service quotas").
BATCH_GET_LIMIT = 100
BATCH_WRITE_LIMIT = 25

#: TransactWriteItems takes at most this many writes.
TRANSACTION_LIMIT = 100

#: What a ``Limit`` can be: a positive number of 32 bits.
MAX_QUERY_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """Some items, and whether there are more."""

    items: list[Item]
    more: bool


def get(key: Item) -> Item | None:
    """The item at ``key``, where there is one."""
    with translate_aws_errors():
        answer = clients.dynamodb().get_item(TableName=settings.table(), Key=key, ConsistentRead=True)
    return answer.get("Item")


def get_many(keys: Sequence[Item]) -> dict[tuple[str, str], Item]:
    """The items that there are at ``keys``, by (PK, SK); more than 100 keys are read in parallel."""
    batches = [keys[start : start + BATCH_GET_LIMIT] for start in range(0, len(keys), BATCH_GET_LIMIT)]
    if len(batches) <= 1:
        answers = [_get_batch(batch) for batch in batches]
    else:
        with ThreadPoolExecutor(min(len(batches), clients.CONNECTIONS)) as pool:
            answers = list(pool.map(_get_batch, batches))
    return {(item["PK"]["S"], item["SK"]["S"]): item for items in answers for item in items}


def _get_batch(keys: Sequence[Item]) -> list[Item]:
    found: list[Item] = []
    wanted = list(keys)

    def attempt() -> None:
        nonlocal wanted
        with translate_aws_errors():
            answer = clients.dynamodb().batch_get_item(
                RequestItems={settings.table(): {"Keys": wanted, "ConsistentRead": True}}
            )
        found.extend(answer["Responses"].get(settings.table(), []))
        unprocessed = answer["UnprocessedKeys"].get(settings.table())
        wanted = list(unprocessed["Keys"]) if unprocessed else []
        if wanted:
            raise ContentionError

    retry(attempt)
    return found


def page(
    pk: str,
    *,
    begins_with: str,
    index: Index = PRIMARY,
    after: Item | None = None,
    limit: int,
    descending: bool = False,
) -> Page:
    """The next items of a partition: at most ``limit``, and fewer where they take more than 1 MiB.

    One more is read than that, since a query that ends at its limit does not tell whether there is anything behind.

    Args:
        pk: The partition.
        begins_with: What the sort key must begin with.
        index: What they are sorted by.
        after: The keys of the item behind which to go on.
        limit: The most items to return.
        descending: From the greatest key down.
    """
    found, cut = _query(pk, begins_with, index, after, limit + 1, descending=descending)
    return Page(found[:limit], cut or len(found) > limit)


def query_all(
    pk: str,
    *,
    begins_with: str,
    index: Index = PRIMARY,
    after: Item | None = None,
    limit: int | None = None,
    at_a_time: int | None = None,
    descending: bool = False,
) -> Iterator[Item]:
    """All items of a partition as ``page`` finds them, or the first ``limit``: ``at_a_time``, or by the mebibyte."""
    left = limit
    while left is None or left > 0:
        wanted = min((size for size in (left, at_a_time) if size is not None), default=None)
        items, more = _query(pk, begins_with, index, after, wanted, descending=descending)
        yield from items
        if not more:
            return
        after = {name: items[-1][name] for name in {"PK", "SK", index.sort_key}}
        left = None if left is None else left - len(items)


def _query(
    pk: str, begins_with: str, index: Index, after: Item | None, limit: int | None, *, descending: bool
) -> tuple[list[Item], bool]:
    """What one call finds, and whether it ended before the end."""
    request: QueryInputTypeDef = {
        "TableName": settings.table(),
        "KeyConditionExpression": "#pk = :pk AND begins_with(#sk, :prefix)",
        "ExpressionAttributeNames": {"#pk": "PK", "#sk": index.sort_key},
        "ExpressionAttributeValues": {":pk": text(pk), ":prefix": text(begins_with)},
        "ConsistentRead": True,
        "ScanIndexForward": not descending,
    }
    if index.name:
        request["IndexName"] = index.name
    if after:
        request["ExclusiveStartKey"] = after
    if limit:
        request["Limit"] = min(limit, MAX_QUERY_LIMIT)
    with translate_aws_errors():
        answer = clients.dynamodb().query(**request)
    return answer["Items"], "LastEvaluatedKey" in answer


def query_pending_work(kind_and_shard: str, *, until: str) -> Iterator[Item]:
    """The keys of what there is to do by ``until`` in a shard of the sparse index, which is global: not consistent."""
    pages = clients.dynamodb().get_paginator("query")
    with translate_aws_errors():
        for answer in pages.paginate(
            TableName=settings.table(),
            IndexName=PENDING_WORK,
            KeyConditionExpression="pending_work = :shard AND due_at <= :until",
            ExpressionAttributeValues={":shard": text(kind_and_shard), ":until": text(until)},
        ):
            yield from answer["Items"]


# ------------------------------------------------------------------------------------------------------- writes


def put(item: Item, *, condition: str = "", **placeholders: Any) -> TransactWriteItemTypeDef:
    """A write of a whole item, for ``transact``. What stands in the way comes back with the error."""
    return _write("Put", {"Item": item}, condition, **placeholders)


def check(key: Item, *, condition: str) -> TransactWriteItemTypeDef:
    """Only a condition, for ``transact``."""
    return _write("ConditionCheck", {"Key": key}, condition)


def update(key: Item, expression: str, *, condition: str = "", **placeholders: Any) -> TransactWriteItemTypeDef:
    """A change of an item, for ``transact``."""
    return _write("Update", {"Key": key, "UpdateExpression": expression}, condition, **placeholders)


def delete(key: Item, *, condition: str = "", **placeholders: Any) -> TransactWriteItemTypeDef:
    """A removal of an item, for ``transact``."""
    return _write("Delete", {"Key": key}, condition, **placeholders)


def _write(kind: str, what: dict[str, Any], condition: str, **placeholders: Any) -> TransactWriteItemTypeDef:
    write = {"TableName": settings.table(), **what, **_conditional(condition, **placeholders)}
    return cast("TransactWriteItemTypeDef", {kind: write})


def _conditional(condition: str, *, names: dict[str, str] | None = None, values: Item | None = None) -> dict[str, Any]:
    """A condition and what stands for names and values in the expressions; what is not given is left out."""
    given = {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD" if condition else None,
    }
    return {name: value for name, value in given.items() if value}


def transact(*writes: TransactWriteItemTypeDef) -> None:
    """All of ``writes``, or none of them; and once, even where an answer was lost and the call repeated.

    Raises:
        ConditionFailedError: A condition did not hold; its place among the writes is in ``failed``.
    """
    token = new_id()

    def attempt() -> None:
        with translate_aws_errors():
            clients.dynamodb().transact_write_items(TransactItems=list(writes), ClientRequestToken=token)

    retry(attempt)


def update_one(
    key: Item, expression: str, *, condition: str, names: dict[str, str] | None = None, values: Item | None = None
) -> Item:
    """A change of one item, which is returned as it is then.

    Raises:
        ConditionFailedError: The condition did not hold.
    """

    def attempt() -> Item:
        with translate_aws_errors():
            answer = clients.dynamodb().update_item(
                TableName=settings.table(),
                Key=key,
                UpdateExpression=expression,
                ReturnValues="ALL_NEW",
                **_conditional(condition, names=names, values=values),
            )
        return answer["Attributes"]

    return retry(attempt)


def delete_many(keys: Sequence[Item]) -> None:
    """Removes the items at ``keys``, whatever they are, 25 at a time."""
    for start in range(0, len(keys), BATCH_WRITE_LIMIT):
        wanted: list[WriteRequestOutputTypeDef] = [
            {"DeleteRequest": {"Key": key}} for key in keys[start : start + BATCH_WRITE_LIMIT]
        ]

        def attempt() -> None:
            nonlocal wanted
            with translate_aws_errors():
                answer = clients.dynamodb().batch_write_item(RequestItems={settings.table(): wanted})
            wanted = answer["UnprocessedItems"].get(settings.table(), [])
            if wanted:
                raise ContentionError

        retry(attempt)
