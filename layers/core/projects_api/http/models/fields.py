"""The kinds of field that several models have."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, PlainSerializer, WithJsonSchema

from projects_api.model.clock import rfc3339

Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-10T09:00:00Z"]}),
]
Id = Annotated[UUID, Field(examples=["019c4a3e-7d00-7c41-9f2b-3a5d6e7f8091"])]

NextCursor = Annotated[str | None, Field(description="Give it as cursor for the next page; null on the last.")]
