"""The kinds of field that several models have."""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from projects_api.entities.clock import rfc3339

Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-10T09:00:00Z"]}),
]
Id = Annotated[UUID, Field(examples=["019c4a3e-7d00-7c41-9f2b-3a5d6e7f8091"])]

NextCursor = Annotated[str | None, Field(description="Give it as cursor for the next page; null on the last.")]

#: What moves a terminal's cursor, rings its bell or worse: Unicode's category Cc. A text of several lines has tabs and
#: line breaks.
FORBIDDEN_IN_NAMES = r"\u0000-\u001f\u007f-\u009f"
FORBIDDEN_IN_TEXTS = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"


def forbid(characters: str) -> AfterValidator:
    """Refuses a text that holds one of ``characters``."""
    unwanted = re.compile(f"[{characters}]")

    def checked(text: str) -> str:
        if found := unwanted.search(text):
            character = {"character": f"U+{ord(found[0]):04X}"}
            raise PydanticCustomError("control_character", "It holds the control character {character}", character)
        return text

    return AfterValidator(checked)
