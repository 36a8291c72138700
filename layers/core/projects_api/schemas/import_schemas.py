"""Schemas of imports."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from projects_api.entities import project_import
from projects_api.entities.project_import import ImportStatus, MembersMode
from projects_api.schemas.export_schemas import Progress
from projects_api.schemas.field_types import Id, PartSize, Timestamp, accept_whole_floats
from projects_api.schemas.project_schemas import ProjectName
from projects_api.schemas.upload_schemas import Upload

#: The JSON Schema of the two kinds of requests: an archive that the client uploads, or an export that is copied.
_SOURCES: list[JsonValue] = [
    {
        "required": ["size_bytes"],
        "properties": {
            "size_bytes": {"type": "integer"},
            "project_id": {"type": "null"},
            "export_id": {"type": "null"},
        },
    },
    {
        "required": ["project_id", "export_id"],
        "properties": {
            "size_bytes": {"type": "null"},
            "project_id": {"type": "string"},
            "export_id": {"type": "string"},
        },
    },
]


class NewImport(BaseModel):
    model_config = ConfigDict(json_schema_extra={"oneOf": _SOURCES})

    size_bytes: Annotated[int, Field(ge=1, strict=True), accept_whole_floats] | None = Field(
        None, description="The size of the archive to upload.", examples=[252_431]
    )
    part_size_bytes: PartSize = None
    project_id: Id | None = Field(None, description="Instead of an upload: the project whose export is copied.")
    export_id: Id | None = Field(None, description="A ready export of that project.")
    name: ProjectName | None = Field(
        None, description="The name of the new project. By default, the name in the archive."
    )
    members: MembersMode = Field(
        MembersMode.NONE,
        description="`match` adds the members of the archive whose emails are registered here, with roles up to admin.",
    )

    @model_validator(mode="after")
    def _check_source(self) -> NewImport:
        copies = self.project_id is not None and self.export_id is not None
        partial = (self.project_id is None) != (self.export_id is None)
        if partial or copies == (self.size_bytes is not None):
            raise PydanticCustomError("source", "Send either size_bytes, or project_id and export_id.")
        return self


class Import(BaseModel):
    id: Id
    status: ImportStatus
    created_at: Timestamp
    finished_at: Timestamp | None
    expires_at: Timestamp = Field(description="The time at which this record is deleted. The project stays.")
    size_bytes: int | None = Field(description="The size of the archive.", examples=[252_431])
    progress: Progress
    project_id: Id | None = Field(description="The new project. Null until the import is ready.")
    errors: list[str] = Field(description="The first 100 reasons why the import failed.")
    error_count: int = Field(description="The number of all reasons.")
    warnings: list[str] = Field(description="Remarks on the archive, such as entries that were ignored.")

    @classmethod
    def from_entity(cls, import_: project_import.Import) -> Import:
        return cls(
            id=UUID(import_.id),
            status=import_.status,
            created_at=import_.created_at,
            finished_at=import_.finished_at,
            expires_at=import_.expires_at,
            size_bytes=import_.size_bytes,
            progress=Progress.model_validate(import_.progress, from_attributes=True),
            project_id=UUID(import_.project_id) if import_.status is ImportStatus.READY else None,
            errors=import_.errors,
            error_count=import_.error_count,
            warnings=import_.warnings,
        )


class ImportResponse(BaseModel):
    import_: Import = Field(alias="import")


class StartedImportResponse(BaseModel):
    import_: Import = Field(alias="import")
    upload: Upload | None = Field(description="The upload of the archive. Null for a copy.")
