"""Transactions whose response is lost: the client repeats them with the same token, and they take effect once."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.endpoint import Endpoint
from botocore.exceptions import ReadTimeoutError
from botocore.model import OperationModel

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


@contextmanager
def lose_responses(times: int) -> Iterator[list[str]]:
    """Lose the responses to the first attempts of each transaction, which DynamoDB executes.

    Args:
        times: The number of lost responses per transaction.

    Yields:
        The token of every attempt.
    """
    send_direct, tokens = Endpoint._do_get_response, list[str]()  # type: ignore[attr-defined]  # in no stub

    def send(endpoint: Endpoint, request: Any, operation_model: OperationModel, context: Any) -> Any:
        outcome = send_direct(endpoint, request, operation_model, context)
        if operation_model.name != "TransactWriteItems":
            return outcome
        tokens.append(json.loads(request.body)["ClientRequestToken"])
        return (None, ReadTimeoutError(endpoint_url=request.url)) if tokens.count(tokens[-1]) <= times else outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Endpoint, "_do_get_response", send)
        yield tokens


@pytest.mark.parametrize("times", [1, 2])
def test_repeated_transactions(app: InProcessApp, alice: Client, bob: Client, times: int) -> None:
    with lose_responses(times) as tokens:
        project_id = alice.create("Once")
        added = alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
        resource = {"id": str(uuid.uuid4()), "name": "d"}
        assert app.deliver([app.build_event("Dataset Created", project_id, resource)] * 3) == []
        started = alice.post(f"/api/projects/{project_id}/exports")
    assert (added.status, started.status) == (201, 202)
    assert [tokens.count(token) for token in dict.fromkeys(tokens)] == [times + 1] * 4
    project = alice.get(f"/api/projects/{project_id}")["project"]
    assert (project["dataset_count"], project["member_count"]) == (1, 2)
    assert [alice.get("/api/projects")["total"], bob.get("/api/projects")["total"]] == [1, 1]
    assert len(alice.get(f"/api/projects/{project_id}/exports")["items"]) == 1
    assert app.find_broken_invariants() == []
    member_path = f"/api/projects/{project_id}/members/{bob.user_id}"
    with lose_responses(times):
        assert alice.delete(member_path).status == 200
        assert alice.delete(f"/api/projects/{project_id}").status == 200
    assert [alice.get("/api/projects")["total"], bob.get("/api/projects")["total"]] == [0, 0]
    app.process_queues()
    assert app.find_items(project_id) == []
