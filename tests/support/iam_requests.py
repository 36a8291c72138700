"""What IAM is asked about a call: AWS's own table of actions, resources and condition keys, for the calls made here.

From AWS's Service Authorization Reference, and from what the services' guides say where one call takes several
permissions: a transaction those of its items, a copy that of reading its source, an object that is not there the one
to list its bucket.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

ACCOUNT = "123456789012"
REGION = "eu-west-1"


@dataclass(frozen=True, slots=True)
class Request:
    """What IAM decides on."""

    action: str
    resource: str
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}" + "".join(
            f", {key} {', '.join(given)}" for key, given in self.context
        )


def requests_of(service: str, operation: str, params: dict[str, Any]) -> Iterator[Request]:
    """What a call by boto3 needs.

    Raises:
        KeyError: Nobody has said yet what this call needs.
    """
    return iter(_OF[service](operation, params))


# ---------------------------------------------------------------------------------------------------- DynamoDB

#: The action behind each kind of write of a transaction and of a batch.
_WRITES = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def table_arn(name: str, index: str | None = None) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" + (f"/index/{index}" if index else "")


def dynamodb(action: str, table: str, keys: Iterable[str], index: str | None = None) -> Request:
    """A request whose items have the partition keys ``keys``."""
    leading = ("dynamodb:LeadingKeys", tuple(sorted(set(keys))))
    return Request(f"dynamodb:{action}", table_arn(table, index), (leading,))


def _dynamodb(operation: str, params: dict[str, Any]) -> Iterator[Request]:  # noqa: C901 - a table
    match operation:
        case "GetItem" | "UpdateItem" | "DeleteItem":
            yield dynamodb(operation, params["TableName"], [_pk(params["Key"])])
        case "PutItem":
            yield dynamodb(operation, params["TableName"], [_pk(params["Item"])])
        case "Query":
            condition, values = params["KeyConditionExpression"], params["ExpressionAttributeValues"]
            partition = values[condition.partition("=")[2].split()[0]]["S"]
            yield dynamodb(operation, params["TableName"], [partition], params.get("IndexName"))
        case "BatchGetItem":
            for table, wanted in params["RequestItems"].items():
                yield dynamodb(operation, table, map(_pk, wanted["Keys"]))
        case "BatchWriteItem":
            for table, writes in params["RequestItems"].items():
                yield dynamodb(operation, table, (_written(next(iter(write.values()))) for write in writes))
        case "TransactWriteItems":
            # the leading keys of one action's items are asked about together: the stricter of the two readings
            keys: dict[tuple[str, str], list[str]] = defaultdict(list)
            for item in params["TransactItems"]:
                ((kind, write),) = item.items()
                keys[_WRITES[kind], write["TableName"]].append(_written(write))
            for (action, table), partitions in keys.items():
                yield dynamodb(action, table, partitions)
        case _:
            raise KeyError(operation)


def _pk(key: dict[str, Any]) -> str:
    return str(key["PK"]["S"])


def _written(write: dict[str, Any]) -> str:
    return _pk(write.get("Key") or write["Item"])


# ---------------------------------------------------------------------------------------------------- S3

_ON_BUCKETS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
_ON_OBJECTS = {
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


def _s3(operation: str, params: dict[str, Any]) -> Iterator[Request]:  # noqa: C901 - a table
    bucket, key, version = params["Bucket"], params.get("Key", ""), params.get("VersionId")
    if operation in _ON_BUCKETS:
        yield Request(_ON_BUCKETS[operation], bucket_arn(bucket))
        return
    for action in _ON_OBJECTS.get(operation, []):
        yield Request(action, object_arn(bucket, key))
    match operation:
        case "GetObject" | "HeadObject":
            yield _of_version("s3:GetObject", bucket, key, version)
        case "GetObjectAttributes":
            yield _of_version("s3:GetObject", bucket, key, version)
            yield Request(f"s3:GetObject{'Version' if version else ''}Attributes", object_arn(bucket, key))
        case "DeleteObject":
            yield _of_version("s3:DeleteObject", bucket, key, version)
        case "DeleteObjects":
            for one in params["Delete"]["Objects"]:
                yield _of_version("s3:DeleteObject", bucket, one["Key"], one.get("VersionId"))
        case "UploadPartCopy" | "CopyObject":
            source = params["CopySource"]
            if isinstance(source, str):
                source_bucket, _, source_key = source.partition("?")[0].lstrip("/").partition("/")
                source = {"Bucket": source_bucket, "Key": source_key}
                source |= {"VersionId": params["CopySource"].partition("versionId=")[2] or None}
            yield _of_version("s3:GetObject", source["Bucket"], source["Key"], source.get("VersionId"))
            yield Request("s3:PutObject", object_arn(bucket, key))
        case _ if operation not in _ON_OBJECTS:
            raise KeyError(operation)


def _of_version(action: str, bucket: str, key: str, version: str | None) -> Request:
    return Request(action + ("Version" if version else ""), object_arn(bucket, key))


def missing_object(bucket: str) -> Request:
    """What S3 tells a 404 for: who may not list the bucket gets a 403 instead."""
    return Request("s3:ListBucket", bucket_arn(bucket))


# ---------------------------------------------------------------------------------------------------- the rest


def queue_arn(name_or_url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name_or_url.rpartition('/')[2]}"


def bus_arn(name: str) -> str:
    return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"


def _sqs(operation: str, params: dict[str, Any]) -> Iterator[Request]:
    yield Request(f"sqs:{operation.removesuffix('Batch')}", queue_arn(params["QueueUrl"]))


def _events(operation: str, params: dict[str, Any]) -> Iterator[Request]:
    if operation != "PutEvents":
        raise KeyError(operation)
    for entry in params["Entries"]:
        context = (("events:detail-type", (entry["DetailType"],)), ("events:source", (entry["Source"],)))
        yield Request("events:PutEvents", bus_arn(entry["EventBusName"]), context)


_OF: dict[str, Callable[[str, dict[str, Any]], Iterable[Request]]] = {
    "dynamodb": _dynamodb,
    "events": _events,
    "s3": _s3,
    "sqs": _sqs,
}
