"""The rows of a manifest that is imported, validated one by one."""

import re
import unicodedata
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from projects_api.archive.export_paths import safe_path
from projects_api.archive.manifest_reader import Row
from projects_api.domain.resource_fields import ResourceName, validate_fields
from projects_api.entities.clock import in_utc, now
from projects_api.entities.errors import InvalidInputError
from projects_api.entities.project import Role
from projects_api.entities.resource import ResourceType

#: How far a resource's time may lie in the future, as for events.
MAX_FUTURE = timedelta(days=1)

#: Maximum lengths of a project's name and description, in characters.
MAX_NAME_LENGTH, MAX_DESCRIPTION_LENGTH = 200, 2_000

_FORBIDDEN_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f]")
FORBIDDEN_IN_TEXTS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_FORBIDDEN_IN_FILE_NAMES = re.compile(r"[/\x00-\x1f\x7f-\x9f\ud800-\udfff]")

Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)


class ProjectRow(_Row):
    """The project in a manifest."""

    id: UUID
    name: str = Field(max_length=10_000)
    description: str = Field("", max_length=MAX_DESCRIPTION_LENGTH)


class MemberRow(_Row):
    """A member in a manifest."""

    email: str = Field(max_length=1_000)
    role: Role
    created_at: Moment


class _OriginRow(_Row):
    project_id: UUID
    resource_id: UUID


class ResourceRow(_Row):
    """A resource in a manifest. Its own fields are next to the attributes."""

    id: UUID
    type: ResourceType
    name: ResourceName
    timestamp: Moment
    path: str | None
    origin: _OriginRow | None = None
    fields: dict[str, Any] = {}


class FileRow(_Row):
    """A file in a manifest."""

    path: str = Field(min_length=1)
    file_name: str | None = Field(None, min_length=1, max_length=1024)
    size: int = Field(ge=0, strict=True)
    crc32: Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}$")]
    content_type: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    resource_id: UUID


#: The attributes of a resource's row that are not its own fields, by the version of the manifest.
_ATTRIBUTES = {
    1: {"id", "type", "name", "timestamp", "path", "fields"},
    2: {"id", "type", "name", "timestamp", "origin", "path", "fields"},
}


def clean_name(name: str) -> str:
    """Return a name of a project in NFC, without control characters, and cut to the maximum length."""
    return unicodedata.normalize("NFC", _FORBIDDEN_IN_NAMES.sub("", name)).strip()[:MAX_NAME_LENGTH].strip()


def parse_resource(row: Row, version: int) -> ResourceRow:
    """Return a resource of the manifest with all of its own fields.

    Raises:
        ValueError: The row is invalid.
    """
    if not isinstance(row.value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - all problems of rows are ValueErrors
    attributes = {name: value for name, value in row.value.items() if name in _ATTRIBUTES[version]}
    resource = ResourceRow.model_validate(attributes)
    if resource.timestamp > now() + MAX_FUTURE:
        raise ValueError("timestamp: it is more than a day in the future")
    own_fields = {name: value for name, value in row.value.items() if name not in _ATTRIBUTES[version]}
    try:
        resource.fields = validate_fields(resource.type, own_fields | resource.fields)
    except InvalidInputError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    return resource


def parse_file(row: Row) -> FileRow:
    """Return a file of the manifest, with its path in NFC.

    Raises:
        ValueError: The row is invalid.
    """
    file = FileRow.model_validate(row.value)
    file.path = unicodedata.normalize("NFC", file.path)
    if safe_path(file.path) != file.path:
        raise ValueError("path: it is not a safe relative path")
    if file.file_name and (file.file_name in {".", ".."} or _FORBIDDEN_IN_FILE_NAMES.search(file.file_name)):
        raise ValueError("file_name: it is not the name of a file")
    return file
