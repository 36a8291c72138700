"""Events of sibling services: validate an EventBridge event and parse the resource in it."""

import json
import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities import resource
from projects_api.entities.activity import Actor
from projects_api.entities.clock import in_utc
from projects_api.entities.errors import summarize_validation_error
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.resource import ResourceType, artifacts_prefix

#: Maximum size of a resource's own fields as JSON, in bytes. An item and its copies in the two local indexes may take
#: 400 KB together (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
MAX_FIELDS_SIZE = 100_000

#: Maximum length of an object key in UTF-8, in bytes
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
MAX_KEY_SIZE = 1024

_DIGITS_AFTER_MICROSECONDS = re.compile(r"[.,]\d{6}(\d+)")

Text = Annotated[str, StringConstraints(max_length=1024)]
Count = Annotated[int, Field(ge=0)]


def _check_key_size(key: str) -> str:
    if len(key.encode()) > MAX_KEY_SIZE:
        raise ValueError(f"the key takes more than {MAX_KEY_SIZE} bytes in UTF-8")
    return key


class EventRejectedError(Exception):
    """The event is invalid, and a retry would not help. The message names the field and the reason."""


class Artifact(BaseModel):
    """A resource's file."""

    key: Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_key_size)]
    content_type: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "application/octet-stream"


class ResourceDetail(BaseModel):
    """A resource in an event. Additional fields are stored unchanged and appear in the manifest of an export."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    name: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    artifact: Artifact | None = None


class DeletedResource(ResourceDetail):
    """A deleted resource. Only the id is required."""

    name: Annotated[str, StringConstraints(max_length=1024)] = ""


class Dataset(ResourceDetail):
    """A dataset in an event."""

    rows: Count | None = None
    columns: Count | None = None


class Experiment(ResourceDetail):
    """An experiment in an event."""

    status: Text | None = None
    target_column: Text | None = None
    problem_type: Text | None = None
    best_model_type: Text | None = None
    duration: Count | Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Detail[ResourceT: ResourceDetail](BaseModel):
    """The ``detail`` of an event: the project, the time and the resource."""

    project_id: UUID
    occurred_at: Annotated[AwareDatetime, AfterValidator(in_utc)]
    resource: ResourceT


class Envelope(BaseModel):
    """The EventBridge envelope of a detail."""

    source: Annotated[str, StringConstraints(max_length=256)] = ""
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
    """Parse an EventBridge event.

    Args:
        body: The event as JSON.

    Returns:
        The project's id, and the resource as the event describes it.

    Raises:
        EventRejectedError: The event is malformed, too large, or names an artifact outside of its project.
    """
    try:
        envelope = Envelope.model_validate_json(body)
        type_, change = _parse_detail_type(envelope.detail_type)
        model: type[Detail[Any]] = Detail[DeletedResource] if change is Change.DELETED else _DETAILS[type_]
        detail = model.model_validate(envelope.detail)
    except ValidationError as error:
        raise EventRejectedError(summarize_validation_error(error)) from None
    project_id, payload = ProjectId(str(detail.project_id)), detail.resource
    fields = payload.model_dump(mode="json", exclude={"id", "name", "artifact"}, exclude_unset=True)
    try:
        size = len(json.dumps(fields, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise EventRejectedError("resource: a field has a number or a text that JSON does not allow") from None
    if size > MAX_FIELDS_SIZE:
        raise EventRejectedError(f"resource: the fields take {size} bytes of JSON, more than {MAX_FIELDS_SIZE}")
    return project_id, resource_from_event(
        id=ResourceId(str(payload.id)),
        type=type_,
        change=change,
        name=payload.name,
        occurred_at=detail.occurred_at,
        extra_digits=_digits_after_microseconds(envelope.detail["occurred_at"]),
        fields=fields,
        artifact=_parse_artifact(project_id, payload.artifact),
        changed_by=Actor(service=envelope.source),
    )


def _digits_after_microseconds(occurred_at: Any) -> str:
    """Return the digits of a time that a datetime cannot hold. Services in Go or Java send nanoseconds."""
    match = _DIGITS_AFTER_MICROSECONDS.search(str(occurred_at))
    return match[1].rstrip("0") if match else ""


def _parse_detail_type(detail_type: str) -> tuple[ResourceType, Change]:
    type_, _, change = detail_type.partition(" ")
    try:
        if detail_type == detail_type.title():
            return ResourceType(type_.lower()), Change[change.upper()]
    except (ValueError, KeyError):
        pass
    types, changes = ", ".join(t.capitalize() for t in ResourceType), ", ".join(c.name.capitalize() for c in Change)
    raise EventRejectedError(f"detail-type: '{detail_type}' is not one of {{{types}}} {{{changes}}}")


def _parse_artifact(project_id: ProjectId, artifact: Artifact | None) -> resource.Artifact | None:
    if artifact is None:
        return None
    prefix = artifacts_prefix(project_id)
    if not artifact.key.startswith(prefix) or not artifact.key.removeprefix(prefix):
        raise EventRejectedError(f"resource.artifact.key: the key does not begin with {prefix} and a file name")
    if {".", ".."} & set(artifact.key.split("/")):
        raise EventRejectedError("resource.artifact.key: the key has '.' or '..' as a part of its path")
    return resource.Artifact(artifact.key, artifact.content_type)
