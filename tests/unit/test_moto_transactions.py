"""The patches of moto's transactions, which `make run` and the in-process tests share."""

import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from local import moto_transactions
from local.moto_transactions import patch_transactions
from local.stack import REGION

TABLE = "transactions"


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """Patch moto, and create a table with a local index and three items."""
    patch_transactions()
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK", "time")],
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            LocalSecondaryIndexes=[
                {
                    "IndexName": "by_time",
                    "KeySchema": [
                        {"AttributeName": "PK", "KeyType": "HASH"},
                        {"AttributeName": "time", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        for name in "abc":
            client.put_item(TableName=TABLE, Item=item(name, 1))
        yield client
        # another fixture may keep moto's state alive
        client.delete_table(TableName=TABLE)
        dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].__dict__.pop(moto_transactions.TOKENS, None)


def item(name: str, count: int) -> dict[str, Any]:
    return {"PK": {"S": "p"}, "SK": {"S": name}, "count": {"N": str(count)}, "time": {"S": f"{count}{name}"}}


def put(name: str, count: int = 1, **options: Any) -> dict[str, Any]:
    return {"Put": {"TableName": TABLE, "Item": item(name, count), **options}}


def add(name: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": TABLE,
            "Key": {"PK": {"S": "p"}, "SK": {"S": name}},
            "UpdateExpression": "ADD #count :one",
            "ExpressionAttributeNames": {"#count": "count"},
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def delete(name: str) -> dict[str, Any]:
    return {"Delete": {"TableName": TABLE, "Key": {"PK": {"S": "p"}, "SK": {"S": name}}}}


def counts(dynamodb: Any) -> dict[str, int]:
    items = dynamodb.scan(TableName=TABLE)["Items"]
    return {item["SK"]["S"]: int(item["count"]["N"]) for item in items}


def test_committed_transaction(dynamodb: Any) -> None:
    dynamodb.transact_write_items(TransactItems=[add("a"), delete("b"), put("d", 7), add("e")])
    assert counts(dynamodb) == {"a": 2, "c": 1, "d": 7, "e": 1}


def test_canceled_transaction(dynamodb: Any) -> None:
    """It changes nothing: what it has updated, replaced, deleted and created is restored."""
    refused = put("new", ConditionExpression="attribute_exists(PK)")
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=[add("a"), put("b", 9), delete("c"), put("d"), add("e"), refused])
    assert counts(dynamodb) == {"a": 1, "b": 1, "c": 1}


def test_invalid_transaction(dynamodb: Any) -> None:
    """A transaction with two operations on one item is rejected as a whole."""
    with pytest.raises(ClientError, match="multiple operations on one item"):
        dynamodb.transact_write_items(TransactItems=[put("d"), add("a"), add("a")])
    assert counts(dynamodb) == {"a": 1, "b": 1, "c": 1}


def test_cost_does_not_depend_on_table_size(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction copies the items that it touches, and neither the table nor other items."""
    copied: list[Any] = []

    def record(value: Any) -> Any:
        copied.append(value)
        return deepcopy(value)

    for number in range(200):
        dynamodb.put_item(TableName=TABLE, Item=item(f"other-{number}", 1))
    tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables
    table = tables[TABLE]
    (rows,) = table.items.values()
    others = {key: row for key, row in rows.items() if key.value.startswith("other")}
    monkeypatch.setattr(moto_transactions, "deepcopy", record)
    dynamodb.transact_write_items(TransactItems=[add("a"), put("d")])
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(
            TransactItems=[add("a"), put("b", ConditionExpression="attribute_not_exists(PK)")]
        )
    assert len(copied) == 4
    assert tables[TABLE] is table
    assert all(rows[key] is row for key, row in others.items())


def test_same_token(dynamodb: Any) -> None:
    """A transaction that is sent again with its token succeeds, and is not repeated."""
    items = [add("a"), put("d", ConditionExpression="attribute_not_exists(PK)")]
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=items, ClientRequestToken="token")
    assert counts(dynamodb)["a"] == 2
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=items, ClientRequestToken="another token")


def test_same_token_for_other_items(dynamodb: Any) -> None:
    dynamodb.transact_write_items(TransactItems=[add("a")], ClientRequestToken="token")
    with pytest.raises(ClientError, match="IdempotentParameterMismatchException"):
        dynamodb.transact_write_items(TransactItems=[add("b")], ClientRequestToken="token")
    assert counts(dynamodb) == {"a": 2, "b": 1, "c": 1}


def test_token_of_canceled_transaction(dynamodb: Any) -> None:
    """A canceled transaction is not remembered: the same request succeeds when its condition is true."""
    items = [put("d", ConditionExpression="attribute_not_exists(PK)")]
    dynamodb.put_item(TableName=TABLE, Item=item("d", 1))
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=items, ClientRequestToken="token")
    dynamodb.delete_item(TableName=TABLE, Key=delete("d")["Delete"]["Key"])
    dynamodb.transact_write_items(TransactItems=items, ClientRequestToken="token")


def test_token_expires(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes a token is new again."""
    dynamodb.transact_write_items(TransactItems=[add("a")], ClientRequestToken="token")
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + moto_transactions.TOKEN_LIFETIME)
    dynamodb.transact_write_items(TransactItems=[add("a")], ClientRequestToken="token")
    assert counts(dynamodb)["a"] == 3


def test_queries(dynamodb: Any) -> None:
    """A query finds the items of its partition, in the table and in a local index, in order."""
    dynamodb.put_item(TableName=TABLE, Item=item("a", 3) | {"PK": {"S": "other"}})
    dynamodb.put_item(TableName=TABLE, Item=item("a", 3))
    query = {
        "TableName": TABLE,
        "KeyConditionExpression": "PK = :p",
        "ExpressionAttributeValues": {":p": {"S": "p"}},
    }
    assert [found["SK"]["S"] for found in dynamodb.query(**query)["Items"]] == ["a", "b", "c"]
    by_time = dynamodb.query(**query, IndexName="by_time", ConsistentRead=True, ScanIndexForward=False)["Items"]
    assert [found["time"]["S"] for found in by_time] == ["3a", "1c", "1b"]
    query["ExpressionAttributeValues"] = {":p": {"S": "missing"}}
    assert dynamodb.query(**query)["Items"] == []
