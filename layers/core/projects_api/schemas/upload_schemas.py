"""Schemas of uploads."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from projects_api.domain.uploads import PartPage
from projects_api.entities.upload import MAX_PARTS, Purpose
from projects_api.schemas.field_types import Id, Timestamp, accept_whole_floats


class UploadPart(BaseModel):
    number: int = Field(examples=[1])
    url: str = Field(description="A temporary URL that accepts this part by PUT, with exactly the size of the part.")


class Upload(BaseModel):
    id: Id
    resource_id: Id | None = Field(description="The id that the resource has, or will have. Null for an archive.")
    import_id: Id | None = Field(description="The import of the archive. Null for the file of a resource.")
    size_bytes: int = Field(examples=[252_431])
    part_size_bytes: int = Field(description="The size of each part but the last.", examples=[5 << 30])
    part_count: int = Field(examples=[1])
    parts: list[UploadPart] = Field(description="The first 1,000 parts. POST …/parts returns the others.")
    urls_expire_at: Timestamp
    expires_at: Timestamp = Field(description="The time at which the upload is aborted if it is not complete.")
    complete_url: str = Field(description="The URL to POST to after all parts are uploaded.")

    @classmethod
    def from_page(cls, page: PartPage, base_url: str) -> Upload:
        upload = page.upload
        is_import = upload.purpose is Purpose.IMPORT
        return cls(
            id=UUID(upload.id),
            resource_id=None if is_import else UUID(upload.resource_id),
            import_id=UUID(upload.resource_id) if is_import else None,
            size_bytes=upload.size_bytes,
            part_size_bytes=upload.part_size_bytes,
            part_count=upload.part_count,
            parts=[UploadPart(number=part.number, url=part.url) for part in page.parts if part.url],
            urls_expire_at=page.urls_expire_at,
            expires_at=upload.expires_at,
            complete_url=f"{base_url}/api/uploads/{upload.id}/complete",
        )


class PartRange(BaseModel):
    after: Annotated[int, Field(ge=0, le=MAX_PARTS, strict=True), accept_whole_floats] = Field(
        0, description="Return the parts after this number."
    )


class PartState(BaseModel):
    number: int = Field(examples=[1])
    uploaded: bool = Field(description="Whether the part is uploaded, with the right size.")
    url: str | None = Field(description="A temporary URL that accepts this part by PUT, or null if it is uploaded.")


class PartList(BaseModel):
    parts: list[PartState]
    urls_expire_at: Timestamp
    next_after: int | None = Field(description="The `after` of the next page. Null on the last page.")
