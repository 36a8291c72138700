"""The events of sibling services: what they may hold, and what they say of a resource."""

import json
import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities import resource
from projects_api.entities.clock import in_utc
from projects_api.entities.errors import summarize_validation_error
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.resource import ResourceType, artifacts_prefix

#: What a resource's own fields may take as JSON. An item is at most 400 KB together with its copies in the two local
#: indexes (DynamoDB, "Service quotas").
FIELDS_BYTES = 100_000

#: A key's length in UTF-8 (Amazon S3, "Object key naming guidelines").
KEY_BYTES = 1024

_BEYOND_MICROSECONDS = re.compile(r"[.,]\d{6}(\d+)")

Text = Annotated[str, StringConstraints(max_length=1024)]
Count = Annotated[int, Field(ge=0)]


def _fits_s3(key: str) -> str:
    if len(key.encode()) > KEY_BYTES:
        raise ValueError(f"it takes more than {KEY_BYTES} bytes")
    return key


class EventRejectedError(Exception):
    """The event can't be recorded, now or ever. The text says why."""


class Artifact(BaseModel):
    key: Annotated[str, StringConstraints(min_length=1), AfterValidator(_fits_s3)]
    content_type: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "application/octet-stream"


class ResourceDetail(BaseModel):
    """A resource; what it has beside these is kept as it is and goes into the manifest."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    name: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    artifact: Artifact | None = None


class DeletedResource(ResourceDetail):
    """A resource that is no more: its id is enough."""

    name: Annotated[str, StringConstraints(max_length=1024)] = ""


class Dataset(ResourceDetail):
    rows: Count | None = None
    columns: Count | None = None


class Experiment(ResourceDetail):
    status: Text | None = None
    target_column: Text | None = None
    problem_type: Text | None = None
    best_model_type: Text | None = None
    duration: Count | Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Detail[ResourceT: ResourceDetail](BaseModel):
    project_id: UUID
    occurred_at: Annotated[AwareDatetime, AfterValidator(in_utc)]
    resource: ResourceT


class Envelope(BaseModel):
    """What EventBridge wraps around a detail."""

    detail_type: str = Field(alias="detail-type")
    detail: dict[str, Any]


_DETAILS: dict[ResourceType, type[Detail[Any]]] = {
    ResourceType.DATASET: Detail[Dataset],
    ResourceType.EXPERIMENT: Detail[Experiment],
    ResourceType.MODEL: Detail[ResourceDetail],
    ResourceType.DEPLOYMENT: Detail[ResourceDetail],
    ResourceType.REPORT: Detail[ResourceDetail],
}


def parse(body: str) -> tuple[ProjectId, resource.Resource]:
    """What an event says: the project, and the resource as it shows it.

    Raises:
        EventRejectedError: It is malformed, too large, or points outside its project.
    """
    try:
        envelope = Envelope.model_validate_json(body)
        type_, change = _kind(envelope.detail_type)
        kind: type[Detail[Any]] = Detail[DeletedResource] if change is Change.DELETED else _DETAILS[type_]
        detail = kind.model_validate(envelope.detail)
    except ValidationError as error:
        raise EventRejectedError(summarize_validation_error(error)) from None
    project_id, resource = ProjectId(str(detail.project_id)), detail.resource
    fields = resource.model_dump(mode="json", exclude={"id", "name", "artifact"}, exclude_unset=True)
    try:
        size = len(json.dumps(fields, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise EventRejectedError("resource: it has a number or a text that JSON does not know") from None
    if size > FIELDS_BYTES:
        raise EventRejectedError(f"resource: its fields take {size} bytes of JSON, more than {FIELDS_BYTES}")
    return project_id, resource_from_event(
        id=ResourceId(str(resource.id)),
        type=type_,
        change=change,
        name=resource.name,
        occurred_at=detail.occurred_at,
        beyond=_beyond_microseconds(envelope.detail["occurred_at"]),
        fields=fields,
        artifact=_artifact(project_id, resource.artifact),
    )


def _beyond_microseconds(occurred_at: Any) -> str:
    """The digits of a time that pydantic leaves out: services in Go or Java tell nanoseconds."""
    found = _BEYOND_MICROSECONDS.search(str(occurred_at))
    return found[1].rstrip("0") if found else ""


def _kind(detail_type: str) -> tuple[ResourceType, Change]:
    type_, _, change = detail_type.partition(" ")
    try:
        if detail_type == detail_type.title():
            return ResourceType(type_.lower()), Change[change.upper()]
    except (ValueError, KeyError):
        pass
    types, changes = ", ".join(t.capitalize() for t in ResourceType), ", ".join(c.name.capitalize() for c in Change)
    raise EventRejectedError(f"detail-type: '{detail_type}' is none of {{{types}}} {{{changes}}}")


def _artifact(project_id: ProjectId, artifact: Artifact | None) -> resource.Artifact | None:
    if artifact is None:
        return None
    prefix = artifacts_prefix(project_id)
    if not artifact.key.startswith(prefix) or not artifact.key.removeprefix(prefix):
        raise EventRejectedError(f"resource.artifact.key: it does not lie under {prefix}")
    if {".", ".."} & set(artifact.key.split("/")):
        raise EventRejectedError("resource.artifact.key: it has a '.' or '..' in its path")
    return resource.Artifact(artifact.key, artifact.content_type)
