"""The resolver that every route's function is made with."""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

ProjectPath = Annotated[UUID, Path(description="The project's id.")]
ExportPath = Annotated[UUID, Path(description="The export's id.")]
UserPath = Annotated[UUID, Path(description="The member's user id.")]
Offset = Annotated[int, Query(ge=0, description="How many to skip.")]
Cursor = Annotated[str | None, Query(max_length=512, description="The last page's next_cursor.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A text of your own: a repeat with the same one within a day gets the first answer.",
    ),
]
