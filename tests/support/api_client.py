"""An API client for tests, with the same interface in process and over HTTP."""

import json as json_format
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import requests


@dataclass
class Response:
    """A response of the API.

    Attributes:
        status: The HTTP status code.
        headers: The response headers.
        body: The body as it was received.
        json: The decoded body, or None if the body is not JSON.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    json: Any = None

    @classmethod
    def from_http(cls, response: requests.Response) -> Self:
        """Convert a response received by `requests`."""
        is_json = response.headers.get("Content-Type", "").startswith("application/json") and response.content
        return cls(response.status_code, dict(response.headers), response.content, response.json() if is_json else None)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]


#: A function that sends a request, given its method, path with query, headers and body.
type Send = Callable[[str, str, dict[str, str], bytes | None], Response]


@dataclass
class Client:
    """A caller of the API, with or without an API key.

    Attributes:
        send: Sends each request of this caller.
        api_key: The API key, or an empty string to send no `Authorization` header.
        user_id: The user the key belongs to.
        email: That user's email address.
        headers: Headers sent with every request.
    """

    send: Send
    api_key: str = ""
    user_id: str = ""
    email: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, json_body: Any = None, *, body: bytes | None = None, **headers: str
    ) -> Response:
        """Send a request.

        Args:
            method: The HTTP method.
            path: The path, with its query.
            json_body: A body to encode as JSON.
            body: A body to send unchanged.
            headers: Headers of this request. An underscore in a name stands for a hyphen.

        Returns:
            The response, with any status.
        """
        all_headers = {name.replace("_", "-"): value for name, value in headers.items()} | self.headers
        if self.api_key:
            all_headers.setdefault("Authorization", f"Bearer {self.api_key}")
        if json_body is not None:
            body = json_format.dumps(json_body).encode()
        return self.send(method, path, all_headers, body)

    def get(self, path: str, **headers: Any) -> Response:
        return self.request("GET", path, **headers)

    def post(self, path: str, json_body: Any = None, **options: Any) -> Response:
        return self.request("POST", path, json_body, **options)

    def put(self, path: str, json_body: Any = None, **options: Any) -> Response:
        return self.request("PUT", path, json_body, **options)

    def delete(self, path: str, **headers: Any) -> Response:
        return self.request("DELETE", path, **headers)

    def create(self, name: str = "Project", **options: Any) -> str:
        """Create a project and return its id."""
        response = self.post("/api/projects", {"name": name, **options})
        assert response.status == 201, response
        return str(response["project_id"])
