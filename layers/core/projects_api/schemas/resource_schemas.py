"""Schemas of resources."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from projects_api.domain.resources import ReadableResource
from projects_api.domain.uploads import NewFile
from projects_api.entities import resource
from projects_api.entities.resource import ResourceType
from projects_api.schemas.field_types import (
    FORBIDDEN_IN_NAMES,
    Id,
    NextCursor,
    PartSize,
    Timestamp,
    accept_whole_floats,
    forbid,
    normalize,
    reject_blank,
)
from projects_api.schemas.upload_schemas import Upload

#: The maximum length of a resource's name and of a file name, in characters.
MAX_NAME_LENGTH = 1_024

#: A media type (RFC 9110, section 8.3.1), in ASCII because it becomes a header.
MEDIA_TYPE = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *;[ -~]*)?$"

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH),
    forbid(FORBIDDEN_IN_NAMES),
    reject_blank,
    normalize(MAX_NAME_LENGTH),
    Field(
        examples=["transactions.csv"],
        json_schema_extra={"pattern": rf"^[^{FORBIDDEN_IN_NAMES}]*[^\s{FORBIDDEN_IN_NAMES}][^{FORBIDDEN_IN_NAMES}]*$"},
    ),
]


class FileToUpload(BaseModel):
    name: Name
    size_bytes: Annotated[int, Field(ge=0, strict=True), accept_whole_floats] = Field(
        description="The exact size of the file.", examples=[252_431]
    )
    content_type: Annotated[str, StringConstraints(max_length=255, pattern=MEDIA_TYPE)] = "application/octet-stream"
    part_size_bytes: PartSize = None


class ResourceContent(BaseModel):
    name: Name
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="The resource's own fields. Those of its type, such as `rows` of a dataset, are validated. "
        "`id`, `name` and `artifact` can't be names of fields.",
        examples=[{"rows": 50_000, "columns": 15}],
    )
    file: FileToUpload | None = Field(
        None,
        description="The file of the resource, if it has one: the response then contains an upload.",
    )
    part_size_bytes: PartSize = None

    def to_new_file(self) -> NewFile | None:
        """Return the file to upload, or None."""
        if self.file is None:
            return None
        part_size = self.part_size_bytes or self.file.part_size_bytes
        return NewFile(self.file.name, self.file.size_bytes, self.file.content_type, part_size)


class NewResource(ResourceContent):
    type: ResourceType


class ResourceUpdate(ResourceContent):
    """The new content of a resource. Without `file`, it keeps its file; with `null`, it has none."""

    type: ResourceType | None = Field(None, description="The type of the resource, which can't change.")

    @property
    def keeps_file(self) -> bool:
        """Return whether the resource keeps the file that it has."""
        return "file" not in self.model_fields_set


class Artifact(BaseModel):
    file_name: str = Field(examples=["transactions.csv"])
    size_bytes: int | None = Field(
        description="The size. In a list, it is null for a file that a sibling service put into the bucket.",
        examples=[252_431],
    )
    content_type: str = Field(examples=["text/csv"])
    download_url: str | None = Field(
        description="A temporary URL of the file, signed for this response. It is null in lists, in responses to "
        "writes, and if the file does not exist."
    )
    download_url_expires_at: Timestamp | None


class Origin(BaseModel):
    project_id: Id
    resource_id: Id


class Resource(BaseModel):
    id: Id
    type: ResourceType
    name: str = Field(examples=["transactions.csv"])
    timestamp: Timestamp
    fields: dict[str, Any] = Field(examples=[{"rows": 50_000, "columns": 15}])
    origin: Origin | None = Field(description="The resource that this one was imported from, otherwise null.")
    artifact: Artifact | None = Field(description="The file of the resource, or null.")

    @classmethod
    def from_entity(cls, entity: resource.Resource, readable: ReadableResource | None = None) -> Resource:
        artifact, origin = entity.artifact, entity.origin
        return cls(
            id=UUID(entity.id),
            type=entity.type,
            name=entity.name,
            timestamp=entity.timestamp,
            fields=entity.fields,
            origin=Origin(project_id=UUID(origin.project_id), resource_id=UUID(origin.resource_id)) if origin else None,
            artifact=Artifact(
                file_name=artifact.file_name,
                size_bytes=artifact.size_bytes,
                content_type=artifact.content_type,
                download_url=readable.download_url if readable else None,
                download_url_expires_at=readable.expires_at if readable else None,
            )
            if artifact
            else None,
        )


class ResourceResponse(BaseModel):
    resource: Resource


class ChangedResourceResponse(BaseModel):
    resource: Resource | None = Field(description="The resource, or null if its file is still to be uploaded.")
    upload: Upload | None = Field(description="The upload of the file, or null if there is no file to upload.")


class ResourceList(BaseModel):
    items: list[Resource]
    next_cursor: NextCursor
