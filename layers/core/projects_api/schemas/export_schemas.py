"""Schemas of exports."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from projects_api.domain.exports.export_requests import ProjectExport
from projects_api.entities.export import ExportStatus, Trigger
from projects_api.schemas.field_types import Id, NextCursor, Timestamp


class Progress(BaseModel):
    bytes_done: int = Field(examples=[252_431])
    bytes_total: int = Field(examples=[252_431])
    files_done: int = Field(examples=[3])
    files_total: int = Field(examples=[3])


class Export(BaseModel):
    id: Id
    project_id: Id
    status: ExportStatus
    trigger: Trigger
    created_at: Timestamp
    finished_at: Timestamp | None
    expires_at: Timestamp
    size_bytes: int | None = Field(examples=[252_431])
    crc32: str | None = Field(
        description="The CRC-32 of the whole archive as 8 hexadecimal digits. Null until the export is ready.",
        examples=["9ae0daaf"],
    )
    progress: Progress
    error: str | None = Field(description="The reason why the export failed, otherwise null.")
    download_url: str | None = Field(
        description="A temporary URL of the archive, signed for this response. Null until the export is ready, and for "
        "API keys without the scope `read`."
    )
    download_url_expires_at: Timestamp | None

    @classmethod
    def from_project_export(cls, project_export: ProjectExport) -> Export:
        export, download = project_export.export, project_export.download
        return cls(
            id=UUID(export.id),
            project_id=UUID(export.project_id),
            status=export.status,
            trigger=export.trigger,
            created_at=export.created_at,
            finished_at=export.finished_at,
            expires_at=export.expires_at,
            size_bytes=export.size_bytes,
            crc32=None if export.crc32 is None else f"{export.crc32:08x}",
            progress=Progress.model_validate(export.progress, from_attributes=True),
            error=export.error,
            download_url=download.url if download else None,
            download_url_expires_at=download.expires_at if download else None,
        )


class NewExport(BaseModel):
    fresh: bool = Field(
        default=False,
        strict=True,
        description="Whether to start a new export in any case, which does not use the previous archive. Requires the "
        "role `editor`. The way out if an archive should ever be damaged.",
    )


class ExportResponse(BaseModel):
    export: Export


class ExportList(BaseModel):
    items: list[Export]
    next_cursor: NextCursor
