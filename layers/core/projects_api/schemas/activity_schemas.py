"""Schemas of the activity."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from projects_api.entities import activity_entry
from projects_api.entities.activity_entry import ActivityAction
from projects_api.schemas.field_types import Id, NextCursor, Timestamp


class Actor(BaseModel):
    """A user, with an id and a name, or a service."""

    user_id: Id | None = None
    name: str | None = Field(None, description="The name of the user at that time.", examples=["Bob Baker"])
    service: str | None = Field(
        None,
        description="The source of an event, `schedule` for the export schedule, or `operator`.",
        examples=["mlplatform.datasets"],
    )


class ActivityObject(BaseModel):
    type: str = Field(
        description="`project`, `member`, `export`, or the type of a resource.", examples=["member", "dataset"]
    )
    id: Id
    name: str | None = Field(description="The name of the object at that time.", examples=["transactions.csv"])


class ActivityEntry(BaseModel):
    id: Id
    at: Timestamp
    actor: Actor
    action: ActivityAction
    object: ActivityObject
    before: dict[str, Any] | None = Field(
        description="The changed values before the change. Long values are cut.", examples=[{"role": "viewer"}]
    )
    after: dict[str, Any] | None = Field(
        description="The changed values after the change. Long values are cut.", examples=[{"role": "editor"}]
    )

    @classmethod
    def from_entity(cls, entry: activity_entry.ActivityEntry) -> ActivityEntry:
        return cls.model_validate(entry, from_attributes=True)


class ActivityList(BaseModel):
    items: list[ActivityEntry]
    next_cursor: NextCursor
