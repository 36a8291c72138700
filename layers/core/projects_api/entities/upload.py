"""Uploads: files on their way into the artifacts bucket, in parts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from projects_api.entities.ids import ProjectId, ResourceId, UploadId, UserId

#: How long an upload may take from its start to its completion.
UPLOAD_LIFETIME = timedelta(days=7)

#: S3's limits of a multipart upload (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): the size of a
#: part in bytes, where the last part may be smaller than the minimum, and the number of parts.
MIN_PART_SIZE = 5 << 20
MAX_PART_SIZE = 5 << 30
MAX_PARTS = 10_000


class Purpose(StrEnum):
    """The use of an uploaded file: as the file of a resource, or as an archive to import."""

    RESOURCE = "resource"
    IMPORT = "import"


class UploadStatus(StrEnum):
    """The status of an upload.

    Attributes:
        OPEN: Parts can be uploaded.
        COMPLETING: S3 assembles the parts, or the resource is about to be recorded.
        COMPLETED: The outcome is recorded.
        ABORTING: The parts or the object are being deleted.
    """

    OPEN = "open"
    COMPLETING = "completing"
    COMPLETED = "completed"
    ABORTING = "aborting"


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload of one file in parts, which belongs to the user who started it.

    Attributes:
        project_id: The project of the resource, or of the import.
        resource_id: The resource that the file is for. For an import, the id of the import.
        key: The key of the object in the artifacts bucket.
        s3_upload_id: The id of the multipart upload in S3.
        size_bytes: The size of the whole file.
        part_size_bytes: The size of each part but the last.
        expires_at: The time at which the upload is aborted if it is not complete.
        draft: The data that is recorded when the upload completes.
        completed_at: The time of the recorded resource.
        version: The version of the recorded resource.
    """

    id: UploadId
    user_id: UserId
    purpose: Purpose
    project_id: ProjectId
    resource_id: ResourceId
    key: str
    s3_upload_id: str
    content_type: str
    size_bytes: int
    part_size_bytes: int
    created_at: datetime
    expires_at: datetime
    draft: dict[str, Any]
    status: UploadStatus = UploadStatus.OPEN
    completed_at: datetime | None = None
    version: str | None = None

    @property
    def part_count(self) -> int:
        """The number of parts. An empty file has one, empty part."""
        return max(1, -(-self.size_bytes // self.part_size_bytes))

    def part_size(self, number: int) -> int:
        """Return the size of the part with this number, which starts at 1, in bytes."""
        if number < self.part_count:
            return self.part_size_bytes
        return self.size_bytes - self.part_size_bytes * (self.part_count - 1)
