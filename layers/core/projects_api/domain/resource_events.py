"""Events of sibling services: validate an EventBridge event and parse the resource in it."""

import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints, ValidationError

from projects_api.domain.resource_fields import MODELS, Artifact, DeletedResource, ResourceDetail, dump_fields
from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities import resource
from projects_api.entities.activity import Actor
from projects_api.entities.clock import in_utc
from projects_api.entities.errors import summarize_validation_error
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.resource import ResourceType, artifacts_prefix

_DIGITS_AFTER_MICROSECONDS = re.compile(r"[.,]\d{6}(\d+)")


class EventRejectedError(Exception):
    """The event is invalid, and a retry would not help. The message names the field and the reason."""


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


_DETAILS: dict[ResourceType, type[Detail[Any]]] = {type_: Detail[model] for type_, model in MODELS.items()}  # type: ignore[valid-type]  # mypy does not know the models


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
    try:
        fields = dump_fields(payload)
    except ValueError as error:
        raise EventRejectedError(f"resource: {error}") from None
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
