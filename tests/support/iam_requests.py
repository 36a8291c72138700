"""The requests that IAM evaluates for a call to AWS: an action, a resource and condition keys.

The table follows the Service Authorization Reference (https://docs.aws.amazon.com/service-authorization/). For calls
that need several permissions, it follows the guides of the services. A transaction needs the permissions of its items.
A copy needs the permission to read its source. A call for an object that does not exist needs the permission to list
the bucket.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

ACCOUNT = "123456789012"
REGION = "eu-west-1"


@dataclass(frozen=True, slots=True)
class IamRequest:
    """A request that IAM evaluates.

    Attributes:
        action: The action, such as `s3:GetObject`.
        resource: The ARN of the resource.
        context: The condition keys with their values.
    """

    action: str
    resource: str
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}" + "".join(
            f", {key} {', '.join(values)}" for key, values in self.context
        )


def build_iam_requests(service: str, operation: str, params: dict[str, Any]) -> Iterator[IamRequest]:
    """Return the requests that IAM evaluates for a call.

    Args:
        service: The service, as boto3 names it.
        operation: The operation, such as `GetItem`.
        params: The parameters of the call.

    Raises:
        KeyError: This module does not know the operation.
    """
    return iter(_BUILDERS[service](operation, params))


# ---------------------------------------------------------------------------------------------------- DynamoDB

#: The action of each kind of write in a transaction.
_WRITES = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def table_arn(name: str, index: str | None = None) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" + (f"/index/{index}" if index else "")


def dynamodb_request(action: str, table: str, keys: Iterable[str], index: str | None = None) -> IamRequest:
    """Return a request for items with these partition keys."""
    leading = ("dynamodb:LeadingKeys", tuple(sorted(set(keys))))
    return IamRequest(f"dynamodb:{action}", table_arn(table, index), (leading,))


def _dynamodb(operation: str, params: dict[str, Any]) -> Iterator[IamRequest]:  # noqa: C901 - a table
    match operation:
        case "GetItem" | "UpdateItem" | "DeleteItem":
            yield dynamodb_request(operation, params["TableName"], [_pk(params["Key"])])
        case "PutItem":
            yield dynamodb_request(operation, params["TableName"], [_pk(params["Item"])])
        case "Query":
            condition, values = params["KeyConditionExpression"], params["ExpressionAttributeValues"]
            partition = values[condition.partition("=")[2].split()[0]]["S"]
            yield dynamodb_request(operation, params["TableName"], [partition], params.get("IndexName"))
        case "BatchGetItem":
            for table, reads in params["RequestItems"].items():
                yield dynamodb_request(operation, table, map(_pk, reads["Keys"]))
        case "BatchWriteItem":
            for table, writes in params["RequestItems"].items():
                yield dynamodb_request(operation, table, (_written_pk(next(iter(write.values()))) for write in writes))
        case "TransactWriteItems":
            # one request with all leading keys of an action: stricter than one request per item
            keys: dict[tuple[str, str], list[str]] = defaultdict(list)
            for item in params["TransactItems"]:
                ((kind, write),) = item.items()
                keys[_WRITES[kind], write["TableName"]].append(_written_pk(write))
            for (action, table), partitions in keys.items():
                yield dynamodb_request(action, table, partitions)
        case _:
            raise KeyError(operation)


def _pk(key: dict[str, Any]) -> str:
    return str(key["PK"]["S"])


def _written_pk(write: dict[str, Any]) -> str:
    return _pk(write.get("Key") or write["Item"])


# ---------------------------------------------------------------------------------------------------- S3

_BUCKET_ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
_OBJECT_ACTIONS = {
    "PutObject": ["s3:PutObject"],
    "CreateMultipartUpload": ["s3:PutObject"],
    "UploadPart": ["s3:PutObject"],
    "CompleteMultipartUpload": ["s3:PutObject"],
    "AbortMultipartUpload": ["s3:AbortMultipartUpload"],
    "ListParts": ["s3:ListMultipartUploadParts"],
}


def bucket_arn(name: str) -> str:
    return f"arn:aws:s3:::{name}"


def object_arn(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def _s3(operation: str, params: dict[str, Any]) -> Iterator[IamRequest]:  # noqa: C901 - a table
    bucket, key, version = params["Bucket"], params.get("Key", ""), params.get("VersionId")
    if operation in _BUCKET_ACTIONS:
        yield IamRequest(_BUCKET_ACTIONS[operation], bucket_arn(bucket))
        return
    for action in _OBJECT_ACTIONS.get(operation, []):
        yield IamRequest(action, object_arn(bucket, key))
    match operation:
        case "GetObject" | "HeadObject":
            yield _object_request("s3:GetObject", bucket, key, version)
        case "GetObjectAttributes":
            yield _object_request("s3:GetObject", bucket, key, version)
            yield IamRequest(f"s3:GetObject{'Version' if version else ''}Attributes", object_arn(bucket, key))
        case "DeleteObject":
            yield _object_request("s3:DeleteObject", bucket, key, version)
        case "DeleteObjects":
            for entry in params["Delete"]["Objects"]:
                yield _object_request("s3:DeleteObject", bucket, entry["Key"], entry.get("VersionId"))
        case "UploadPartCopy" | "CopyObject":
            source = params["CopySource"]
            if isinstance(source, str):
                source_bucket, _, source_key = source.partition("?")[0].lstrip("/").partition("/")
                source = {"Bucket": source_bucket, "Key": source_key}
                source |= {"VersionId": params["CopySource"].partition("versionId=")[2] or None}
            yield _object_request("s3:GetObject", source["Bucket"], source["Key"], source.get("VersionId"))
            yield IamRequest("s3:PutObject", object_arn(bucket, key))
        case _ if operation not in _OBJECT_ACTIONS:
            raise KeyError(operation)


def _object_request(action: str, bucket: str, key: str, version: str | None) -> IamRequest:
    return IamRequest(action + ("Version" if version else ""), object_arn(bucket, key))


def missing_object_request(bucket: str) -> IamRequest:
    """Return the request that decides whether S3 responds 404 or 403 for an object that does not exist."""
    return IamRequest("s3:ListBucket", bucket_arn(bucket))


# ------------------------------------------------------------------------------------------------- SQS and EventBridge


def queue_arn(name_or_url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name_or_url.rpartition('/')[2]}"


def bus_arn(name: str) -> str:
    return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"


def _sqs(operation: str, params: dict[str, Any]) -> Iterator[IamRequest]:
    yield IamRequest(f"sqs:{operation.removesuffix('Batch')}", queue_arn(params["QueueUrl"]))


def _events(operation: str, params: dict[str, Any]) -> Iterator[IamRequest]:
    if operation != "PutEvents":
        raise KeyError(operation)
    for entry in params["Entries"]:
        context = (("events:detail-type", (entry["DetailType"],)), ("events:source", (entry["Source"],)))
        yield IamRequest("events:PutEvents", bus_arn(entry["EventBusName"]), context)


_BUILDERS: dict[str, Callable[[str, dict[str, Any]], Iterable[IamRequest]]] = {
    "dynamodb": _dynamodb,
    "events": _events,
    "s3": _s3,
    "sqs": _sqs,
}
