"""Idempotency: the first result of each request with an ``Idempotency-Key``, kept for one day.

Every POST that creates something uses this module, and the PUT that starts an upload. The claim on a key and the
creation are one transaction, so a request takes effect once, even if the client repeats it in parallel or the function
dies before it responds:

    >>> try:
    ...     idempotency_store.transact(request, {"export_id": export.id}, *writes)
    ... except RepeatedRequestError as repeat:
    ...     return restore(repeat.result)  # for example, read the export again and sign fresh URLs

``transact`` writes the claim last, so the order of ``ConditionFailedError.failed`` is the order of ``writes``. Without
a key (``request`` is None) it is a plain transaction. A repeat that finds nothing to change still claims its key, with
no other writes. Call ``get`` first if the work before the transaction has effects of its own, or if the first request
could make its own repeat fail.

The claim of a route of a project is in the project's partition, so the purge deletes it with the project. All other
claims are in the partition of the user. The result holds only what is needed to give the first result again: it is
JSON, and never contains a secret or a signed URL.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from projects_api.entities.clock import now
from projects_api.entities.errors import InvalidInputError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, UserId
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.keys import Item, number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: How long the first result of an Idempotency-Key is returned for repeated requests.
WINDOW = timedelta(days=1)


class RepeatedRequestError(Exception):
    """An earlier request with the same Idempotency-Key took effect, and this one did not.

    Attributes:
        result: The result that the earlier request stored.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__("The request is a repeat")
        self.result = result


def get(request: IdempotentRequest | None) -> dict[str, Any] | None:
    """Return the result of the first request with the same key, or None if there was none within a day.

    Raises:
        InvalidInputError: The first request with this key had another body.
    """
    item = table.get_item(_key(request)) if request else None
    if request is None or item is None or int(item["expires_at"]["N"]) < now().timestamp():
        return None  # DynamoDB deletes expired items with a delay
    return _result(request, item)


def transact(request: IdempotentRequest | None, result: dict[str, Any], *writes: TransactWriteItemTypeDef) -> None:
    """Apply all of ``writes`` and store the result under the request's key, or do none of it.

    Args:
        request: The request, or None if it has no Idempotency-Key.
        result: What a repeat needs to give the first result again. If it has a ``project_id``, the purge of that
            project can delete the claim with ``build_deletion``.
        writes: The other writes of the transaction.

    Raises:
        RepeatedRequestError: An earlier request with this key took effect.
        InvalidInputError: An earlier request with this key had another body.
        ConditionFailedError: Another condition did not hold.
    """
    if request is None:
        table.transact(*writes)
        return
    try:
        table.transact(*writes, _build_claim(request, result))
    except ConditionFailedError as error:
        if error.failed[-1]:
            raise RepeatedRequestError(_result(request, error.items[-1])) from None
        raise


def build_deletion(claim: str, project_id: ProjectId) -> TransactWriteItemTypeDef:
    """Return the write that deletes a user's claim if it is still the one that created the project.

    Args:
        claim: The claim as ``claim_name`` returned it.
        project_id: The ``project_id`` in the claim's result. After a day, the same key may belong to another project.
    """
    user_id, _, digest = claim.partition("#")
    return table.build_delete(
        keys.idempotency(keys.user_partition(UserId(user_id)), digest),
        condition="project_id = :id",
        values={":id": text(project_id)},
    )


def claim_name(request: IdempotentRequest) -> str:
    """Return the name of a user's claim, for ``build_deletion``."""
    return f"{request.user_id}#{request.digest}"


def _build_claim(request: IdempotentRequest, result: dict[str, Any]) -> TransactWriteItemTypeDef:
    moment = now()
    item = _key(request) | {
        "fingerprint": text(request.fingerprint),
        "result": text(json.dumps(result, ensure_ascii=False)),
        "expires_at": number(int((moment + WINDOW).timestamp())),
    }
    if "project_id" in result:
        item["project_id"] = text(result["project_id"])
    return table.build_put(
        item,
        condition="attribute_not_exists(PK) OR expires_at < :now",
        values={":now": number(int(moment.timestamp()))},
    )


def _key(request: IdempotentRequest) -> Item:
    partition = (
        keys.project_partition(request.project_id) if request.project_id else keys.user_partition(request.user_id)
    )
    return keys.idempotency(partition, request.digest)


def _result(request: IdempotentRequest, item: Item) -> dict[str, Any]:
    if item["fingerprint"]["S"] != request.fingerprint:
        raise InvalidInputError(
            "An earlier request with this Idempotency-Key had another body. Use a new key for a new request.",
            loc=("header", "Idempotency-Key"),
        )
    result: dict[str, Any] = json.loads(item["result"]["S"])
    return result
