"""Resources and their artifacts."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from projects_api.entities.activity import Actor
from projects_api.entities.ids import ProjectId, ResourceId


class ResourceType(StrEnum):
    DATASET = "dataset"
    EXPERIMENT = "experiment"
    MODEL = "model"
    DEPLOYMENT = "deployment"
    REPORT = "report"


def artifacts_prefix(project_id: ProjectId) -> str:
    """Return the key prefix of a project's artifacts in the artifacts bucket."""
    return f"projects/{project_id}/"


@dataclass(frozen=True, slots=True)
class Artifact:
    """The file of a resource: an object in the artifacts bucket."""

    key: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource in the state of its newest event. The resource is also an entry of the timeline.

    Attributes:
        timestamp: The time of the newest event, its ``occurred_at``.
        version: A sort key that orders the events of one resource.
        fields: The other fields of the event's resource, unchanged.
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
    changed_by: Actor | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[ResourceType, ResourceId]:
        """The resource's key, unique within its project."""
        return self.type, self.id
