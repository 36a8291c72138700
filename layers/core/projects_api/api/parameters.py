"""Path, query and header parameters that several routes share, and Powertools' classes for those of one route."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from pydantic import GetPydanticSchema
from pydantic_core.core_schema import no_info_after_validator_function

from projects_api.entities.ids import ExportId, ImportId, ProjectId, ResourceId, UploadId, UserId
from projects_api.entities.resource import ResourceType

__all__ = [
    "Body", "Cursor", "ExportPath", "Header", "IdempotencyKey", "ImportPath", "Offset", "Order", "ProjectPath", "Query",
    "ResourceLimit", "ResourcePath", "ResourceTypeFilter", "TimeOrder", "UploadPath", "UserPath",
]  # fmt: skip


class Order(StrEnum):
    """The order of a list by time."""

    ASC = "asc"
    DESC = "desc"


#: Validates a UUID and converts it to the string form that the id types have.
_UUID_AS_STRING = GetPydanticSchema(lambda _, handler: no_info_after_validator_function(str, handler(UUID)))

ProjectPath = Annotated[ProjectId, _UUID_AS_STRING, Path(description="The id of the project.")]
ExportPath = Annotated[ExportId, _UUID_AS_STRING, Path(description="The id of the export.")]
ResourcePath = Annotated[ResourceId, _UUID_AS_STRING, Path(description="The id of the resource.")]
UploadPath = Annotated[UploadId, _UUID_AS_STRING, Path(description="The id of the upload.")]
ImportPath = Annotated[ImportId, _UUID_AS_STRING, Path(description="The id of the import.")]
UserPath = Annotated[UserId, _UUID_AS_STRING, Path(description="The user id of the member.")]
Offset = Annotated[int, Query(ge=0, description="The number of items to skip.")]
TimeOrder = Annotated[Order, Query(description="`asc` lists the oldest first, `desc` the newest.")]
ResourceLimit = Annotated[int, Query(ge=1, le=1_000, description="The maximum number of items to return.")]
ResourceTypeFilter = Annotated[ResourceType | None, Query(description="Return only resources of this type.")]
Cursor = Annotated[str | None, Query(max_length=512, description="The `next_cursor` of the previous page.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A unique string of your choice, such as a UUID. A retry with the same key within a day returns "
        "the first result and creates nothing again. A different body with the same key is rejected with 422.",
    ),
]
