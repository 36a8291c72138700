"""Events of sibling services: validate an EventBridge event and parse the resource in it."""

import json
import re
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from projects_api.domain.resource_fields import MODELS, Artifact, ResourceDetail, dump_fields
from projects_api.domain.resource_versions import Change, resource_from_event
from projects_api.entities import resource, strict_json
from projects_api.entities.activity_entry import Actor
from projects_api.entities.clock import in_utc, now
from projects_api.entities.errors import summarize_validation_error
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.resource import ResourceType, artifacts_prefix
from projects_api.entities.strict_json import InvalidJsonError

#: How far the time of an event may be ahead of this service's clock. A time in the distant future would outrank all
#: later events of the resource.
MAX_CLOCK_ADVANCE = timedelta(days=1)

_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_LEAP_SECOND = re.compile(
    r"(?P<minute>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d):60(?P<fraction>[.,]\d+)?(?P<offset>[Zz]|[+-]\d\d:?\d\d)", re.ASCII
)
_DIGITS_AFTER_MICROSECONDS = re.compile(r"[.,]\d{6}(\d+)")


class EventRejectedError(Exception):
    """The event is invalid, and a retry would not help. The message names the field and the reason."""


def _parse_time(occurred_at: Any) -> Any:
    """Return a time that a datetime can hold: the last microsecond before a leap second for a time within it.

    RFC 3339, section 5.6, allows the second 60. A leap second is at 23:59:60 UTC.
    """
    if not isinstance(occurred_at, str) or not _DATE.match(occurred_at):
        raise ValueError("send the time as RFC 3339, such as 2026-02-10T09:00:00Z")
    match = _LEAP_SECOND.fullmatch(occurred_at)
    if match is None:
        return occurred_at
    moment = in_utc(datetime.fromisoformat(f"{match['minute']}:59.999999{match['offset'].upper()}"))
    if (moment.hour, moment.minute) != (23, 59):
        raise ValueError("a leap second is at 23:59:60 UTC")
    return moment


def _reject_future(occurred_at: datetime) -> datetime:
    if occurred_at > now() + MAX_CLOCK_ADVANCE:
        raise ValueError("the time is more than a day in the future")
    return occurred_at


OccurredAt = Annotated[
    AwareDatetime, BeforeValidator(_parse_time), AfterValidator(in_utc), AfterValidator(_reject_future)
]
_OCCURRED_AT = TypeAdapter(OccurredAt)


class Detail[ResourceT: ResourceDetail](BaseModel):
    """The ``detail`` of an event: the project, the time and the resource."""

    project_id: UUID
    occurred_at: OccurredAt
    resource: ResourceT


class DeletedResource(BaseModel):
    """A deleted resource. Nothing but the id is read."""

    id: UUID


class Deletion(BaseModel):
    """The ``detail`` of a deletion. Nothing but the ids is required."""

    project_id: UUID
    resource: DeletedResource


class Envelope(BaseModel):
    """The EventBridge envelope of a detail."""

    source: Annotated[str, StringConstraints(max_length=256)] = ""
    time: Any = None
    detail_type: str = Field(alias="detail-type")
    detail: dict[str, Any]


_DETAILS: dict[ResourceType, type[Detail[Any]]] = {type_: Detail[model] for type_, model in MODELS.items()}  # type: ignore[valid-type]  # mypy does not know the models


def parse(body: str) -> tuple[ProjectId, resource.Resource]:
    """Parse an EventBridge event.

    A deletion needs nothing but the ids. If its ``occurred_at`` is unusable, the event's own ``time`` counts, and
    otherwise the current time.

    Args:
        body: The event as JSON.

    Returns:
        The project's id, and the resource as the event describes it.

    Raises:
        EventRejectedError: The event is malformed, too large, too far in the future, or names an artifact outside of
            its project.
    """
    try:
        envelope = Envelope.model_validate(strict_json.loads(body))
        type_, change = _parse_detail_type(envelope.detail_type)
        if change is Change.DELETED:
            return _parse_deletion(type_, envelope)
        _reject_surrogates(envelope.detail)
        detail = _DETAILS[type_].model_validate(envelope.detail)
    except ValidationError as error:
        raise EventRejectedError(summarize_validation_error(error)) from None
    except InvalidJsonError as error:
        raise EventRejectedError(f"event: {error}") from None
    except ValueError:
        raise EventRejectedError("event: the body is not JSON") from None
    project_id, payload = ProjectId(str(detail.project_id)), detail.resource
    try:
        fields = dump_fields(payload)
    except ValueError as error:
        raise EventRejectedError(f"resource: {error}") from None
    occurred_at = envelope.detail["occurred_at"]
    return project_id, resource_from_event(
        id=ResourceId(str(payload.id)),
        type=type_,
        change=change,
        name=payload.name,
        occurred_at=detail.occurred_at,
        extra_digits=_digits_after_microseconds(occurred_at),
        fields=fields,
        artifact=_parse_artifact(project_id, payload.artifact),
        changed_by=Actor(service=envelope.source),
    )


def _reject_surrogates(detail: dict[str, Any]) -> None:
    """Reject half of a surrogate pair in any name or text, which UTF-8 cannot encode."""
    try:
        json.dumps(detail, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise EventRejectedError("detail: it contains half of a surrogate pair") from None


def _parse_deletion(type_: ResourceType, envelope: Envelope) -> tuple[ProjectId, resource.Resource]:
    deletion = Deletion.model_validate(envelope.detail)
    occurred_at, digits = now(), ""
    for candidate in (envelope.detail.get("occurred_at"), envelope.time):
        with suppress(ValidationError):
            occurred_at, digits = _OCCURRED_AT.validate_python(candidate), _digits_after_microseconds(candidate)
            break
    return ProjectId(str(deletion.project_id)), resource_from_event(
        id=ResourceId(str(deletion.resource.id)),
        type=type_,
        change=Change.DELETED,
        name="",
        occurred_at=occurred_at,
        extra_digits=digits,
        fields={},
        artifact=None,
        changed_by=Actor(service=envelope.source),
    )


def _digits_after_microseconds(occurred_at: Any) -> str:
    """Return the digits of a time that a datetime cannot hold. Services in Go or Java send nanoseconds.

    A time within a leap second comes after all other times of its minute.
    """
    if leap_second := _LEAP_SECOND.fullmatch(str(occurred_at)):
        return "9" * 9 + (leap_second["fraction"] or "")[1:].rstrip("0")
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
    raise EventRejectedError(f"detail-type: it is not one of {{{types}}} {{{changes}}}")  # the reason is logged


def _parse_artifact(project_id: ProjectId, artifact: Artifact | None) -> resource.Artifact | None:
    if artifact is None:
        return None
    prefix = artifacts_prefix(project_id)
    if not artifact.key.startswith(prefix) or not artifact.key.removeprefix(prefix):
        raise EventRejectedError(f"resource.artifact.key: the key does not begin with {prefix} and a file name")
    if {".", ".."} & set(artifact.key.split("/")):
        raise EventRejectedError("resource.artifact.key: the key has '.' or '..' as a part of its path")
    return resource.Artifact(artifact.key, artifact.content_type)
