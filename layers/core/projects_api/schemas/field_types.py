"""Field types that several schemas share."""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from projects_api.entities.clock import rfc3339
from projects_api.entities.text import is_blank, to_nfc
from projects_api.entities.upload import MAX_PART_SIZE, MIN_PART_SIZE

Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-10T09:00:00Z"]}),
]
Id = Annotated[UUID, Field(examples=["019c4a3e-7d00-7c41-9f2b-3a5d6e7f8091"])]

NextCursor = Annotated[str | None, Field(description="The `cursor` of the next page. Null on the last page.")]


def _to_int(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: A validator for integers as JSON Schema defines them, with ``strict``: 5.0 is one, true and "5" are none.
accept_whole_floats = BeforeValidator(_to_int)

PartSize = Annotated[
    Annotated[int, Field(ge=MIN_PART_SIZE, le=MAX_PART_SIZE, strict=True), accept_whole_floats] | None,
    Field(
        description="The size of each part of the upload but the last, from 5 MiB to 5 GiB. "
        "Without it, a file of up to 5 GiB has one part.",
    ),
]

#: Control characters (Unicode category Cc), which can manipulate a terminal. Multi-line texts may contain tabs and line
#: breaks.
FORBIDDEN_IN_NAMES = r"\u0000-\u001f\u007f-\u009f"
FORBIDDEN_IN_TEXTS = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"


def forbid(characters: str) -> AfterValidator:
    """Return a validator that rejects texts with any of ``characters``, the inside of a regular expression's ``[]``."""
    forbidden = re.compile(f"[{characters}]")

    def reject_forbidden(text: str) -> str:
        if match := forbidden.search(text):
            context = {"character": f"U+{ord(match[0]):04X}"}
            raise PydanticCustomError("control_character", "It contains the control character {character}", context)
        return text

    return AfterValidator(reject_forbidden)


def normalize(max_length: int) -> BeforeValidator:
    """Return a validator that trims texts and converts them to NFC, before their length is checked."""
    return BeforeValidator(lambda text: to_nfc(text.strip(), max_length) if isinstance(text, str) else text)


def _reject_blank(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("string_too_short", "It shows nothing", {"min_length": 1})
    return text


#: A validator that rejects texts which show nothing, such as zero-width characters.
reject_blank = AfterValidator(_reject_blank)
