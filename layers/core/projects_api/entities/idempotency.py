"""Requests with an ``Idempotency-Key``. ``storage/dynamodb/idempotency_store.py`` lets each take effect once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from projects_api.entities.ids import ProjectId, UserId


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request with an ``Idempotency-Key``.

    Attributes:
        user_id: The caller. Two users may use the same key.
        route: The method and the path. One key may be used once on each route.
        key: The key, any text of the client's choice.
        body: The validated body as JSON data.
        project_id: The project of the route, or None for a route without one.
    """

    user_id: UserId
    route: str
    key: str
    body: Mapping[str, Any]
    project_id: ProjectId | None = None

    @property
    def digest(self) -> str:
        """The digest of the user, the route and the key, which identifies the first request of its kind."""
        return _digest([self.user_id, self.route, self.key])

    @property
    def fingerprint(self) -> str:
        """The digest of the body, which tells a repeated request from another one with the same key."""
        return _digest(self.body)


def _digest(content: object) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
