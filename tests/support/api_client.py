"""What the tests ask the API with: the same questions in process and over HTTP."""

import json as json_format
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import requests


@dataclass
class Answer:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    body: bytes
    json: Any = None

    @classmethod
    def of(cls, response: requests.Response) -> Self:
        """The same, as it came over HTTP."""
        is_json = response.headers.get("Content-Type", "").startswith("application/json") and response.content
        return cls(response.status_code, dict(response.headers), response.content, response.json() if is_json else None)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]


#: Sends a request: method, path with query, headers, body.
type Send = Callable[[str, str, dict[str, str], bytes | None], Answer]


@dataclass
class Client:
    """Somebody with an API key, or without one."""

    send: Send
    api_key: str = ""
    user_id: str = ""
    email: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, json_body: Any = None, *, body: bytes | None = None, **headers: str
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | self.headers
        if self.api_key:
            sent.setdefault("Authorization", f"Bearer {self.api_key}")
        if json_body is not None:
            body = json_format.dumps(json_body).encode()
        return self.send(method, path, sent, body)

    def get(self, path: str, **headers: Any) -> Answer:
        return self.request("GET", path, **headers)

    def post(self, path: str, json_body: Any = None, **more: Any) -> Answer:
        return self.request("POST", path, json_body, **more)

    def put(self, path: str, json_body: Any = None, **more: Any) -> Answer:
        return self.request("PUT", path, json_body, **more)

    def delete(self, path: str, **headers: Any) -> Answer:
        return self.request("DELETE", path, **headers)

    def create(self, name: str = "Project", **more: Any) -> str:
        """A new project's id."""
        answer = self.post("/api/projects", {"name": name, **more})
        assert answer.status == 201, answer
        return str(answer["project_id"])
