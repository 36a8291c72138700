"""Resources and their artifacts."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from projects_api.entities.activity_entry import Actor
from projects_api.entities.ids import ProjectId, ResourceId, UploadId


class ResourceType(StrEnum):
    DATASET = "dataset"
    EXPERIMENT = "experiment"
    MODEL = "model"
    DEPLOYMENT = "deployment"
    REPORT = "report"


#: The characters that a header may have (RFC 9110, section 5.5), without those beyond ASCII.
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def artifacts_prefix(project_id: ProjectId) -> str:
    """Return the key prefix of a project's artifacts in the artifacts bucket."""
    return f"projects/{project_id}/"


@dataclass(frozen=True, slots=True)
class Artifact:
    """The file of a resource: an object in the artifacts bucket.

    Attributes:
        key: The key of the object.
        content_type: The content type.
        size_bytes: The size, or None if it is not known: events do not state it.
        uploaded: Whether the file was uploaded through this service, which then deletes it with the last resource that
            names it. A file that a sibling service put into the bucket is never touched.
    """

    key: str
    content_type: str
    size_bytes: int | None = None
    uploaded: bool = False

    @property
    def file_name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def content_type_header(self) -> str:
        """The content type, or that of unknown bytes if no header may have this one."""
        return self.content_type if _HEADER_VALUE.fullmatch(self.content_type) else "application/octet-stream"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that was uploaded through this service, or is being uploaded.

    Attributes:
        key: The key of the object in the artifacts bucket.
        resource_count: The number of resources that name the file. With none, the file is deleted.
        size_bytes: The size of the object.
        upload_id: The upload that is being completed at this key, if there is one.
        deleting: Whether the deletion of the object has begun. It cannot be stopped.
    """

    key: str
    resource_count: int
    size_bytes: int | None = None
    upload_id: UploadId | None = None
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """The resource that an imported resource is a copy of. It may be in another deployment, or deleted."""

    project_id: ProjectId
    resource_id: ResourceId


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource in the state of its newest event. The resource is also an entry of the timeline.

    Attributes:
        timestamp: The time of the newest event, its ``occurred_at``.
        version: A sort key that orders the events of one resource.
        fields: The other fields of the event's resource, unchanged.
        artifact: The resource's file, if it has one.
        origin: The resource that this one was imported from, if it was.
        deleted: Whether the resource is deleted. Its record stays, and no later event restores it.
        changed_by: The user or service that announced this state. None for a resource that was read from the table.
    """

    id: ResourceId
    type: ResourceType
    name: str
    timestamp: datetime
    version: str
    fields: dict[str, Any]
    artifact: Artifact | None = None
    deleted: bool = False
    origin: Origin | None = None
    changed_by: Actor | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[ResourceType, ResourceId]:
        """The resource's key, unique within its project."""
        return self.type, self.id
