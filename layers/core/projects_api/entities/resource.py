"""The nouns: project, member, resource, export, user, API key."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from projects_api.entities.ids import ProjectId, ResourceId


class ResourceType(StrEnum):
    DATASET = "dataset"
    EXPERIMENT = "experiment"
    MODEL = "model"
    DEPLOYMENT = "deployment"
    REPORT = "report"


def artifacts_prefix(project_id: ProjectId) -> str:
    """What the key of each of a project's artifacts begins with."""
    return f"projects/{project_id}/"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where a resource's file lies: an object in the artifacts bucket."""

    key: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as the newest event shows it, which is also its entry in the timeline.

    ``fields`` is what the event said of it beside these. ``version`` orders the events of one resource.
    """

    id: ResourceId
    type: ResourceType
    name: str
    timestamp: datetime
    version: str
    fields: dict[str, Any]
    artifact: Artifact | None = None
    deleted: bool = False

    @property
    def key(self) -> tuple[ResourceType, ResourceId]:
        """What tells it from the other resources of its project."""
        return self.type, self.id
