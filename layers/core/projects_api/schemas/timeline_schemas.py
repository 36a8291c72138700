"""Schemas of the timeline, one for each type of resource."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from projects_api.entities.resource import Resource, ResourceType
from projects_api.schemas.field_types import Id, NextCursor, Timestamp


class Event(BaseModel):
    id: Id
    name: str = Field(examples=["transactions.csv"])
    timestamp: Timestamp


class DatasetEvent(Event):
    type: Literal[ResourceType.DATASET]
    rows: int | None = Field(examples=[50_000])
    columns: int | None = Field(examples=[15])


class ExperimentEvent(Event):
    type: Literal[ResourceType.EXPERIMENT]
    status: str | None = Field(examples=["completed"])
    target_column: str | None = Field(examples=["is_fraud"])
    problem_type: str | None = Field(examples=["classification"])
    best_model_type: str | None = Field(examples=["gradient_boosting"])
    duration: int | float | None = Field(description="The duration in seconds.", examples=[84.5])


class ModelEvent(Event):
    type: Literal[ResourceType.MODEL]


class DeploymentEvent(Event):
    type: Literal[ResourceType.DEPLOYMENT]


class ReportEvent(Event):
    type: Literal[ResourceType.REPORT]


type TimelineEvent = Annotated[
    DatasetEvent | ExperimentEvent | ModelEvent | DeploymentEvent | ReportEvent, Field(discriminator="type")
]
_EVENTS: dict[ResourceType, type[Event]] = {
    ResourceType.DATASET: DatasetEvent,
    ResourceType.EXPERIMENT: ExperimentEvent,
    ResourceType.MODEL: ModelEvent,
    ResourceType.DEPLOYMENT: DeploymentEvent,
    ResourceType.REPORT: ReportEvent,
}


def to_timeline_event(resource: Resource) -> Event:
    """Convert a resource into an entry of the timeline. Fields of its type that the resource lacks are null."""
    schema = _EVENTS[resource.type]
    common = {"id": resource.id, "type": resource.type, "name": resource.name, "timestamp": resource.timestamp}
    return schema.model_validate(dict.fromkeys(schema.model_fields) | resource.fields | common)


class TimelineResponse(BaseModel):
    project_id: Id
    events: list[TimelineEvent]
    next_cursor: NextCursor
