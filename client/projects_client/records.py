"""Typed objects of the API's responses.

Each ``from_json`` ignores fields that it does not know, so that a newer API does not break an older client. ``raw``
keeps the whole response.
"""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from projects_client import notebook
from projects_client.api import Json

if TYPE_CHECKING:
    from typing_extensions import Self  # not a requirement of the client

#: Names of the fields that are times.
TIME_FIELDS = {"at", "created_at", "download_url_expires_at", "expires_at", "finished_at", "timestamp", "updated_at"}


def parse_time(text: str | None) -> datetime | None:
    """Return an RFC 3339 time in UTC as an aware datetime."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))


def parse_times(raw: Json) -> Json:
    """Return the API's JSON of an object with its times as datetimes."""
    return {
        name: parse_time(value) if name in TIME_FIELDS and isinstance(value, str) else value
        for name, value in raw.items()
    }


@dataclass(frozen=True)
class Record:
    """Base class of the typed objects.

    ``raw`` and signed URLs are no fields: pandas and polars make no columns of them, and notebooks do not show them.
    """

    @property
    def raw(self) -> Json:
        """The JSON that the object was made from."""
        raw: Json = vars(self).get("_raw", {})
        return raw

    @classmethod
    def from_json(cls, raw: Json) -> "Self":
        """Return the object for the API's JSON. Unknown fields are ignored, and missing ones have their default."""
        values: Json = {}
        for each in fields(cls):
            if each.name in raw:
                parse = parse_time if each.name in TIME_FIELDS else each.metadata.get("parse")
                values[each.name] = parse(raw[each.name]) if parse else raw[each.name]
        return cls._create(values, raw)

    @classmethod
    def _create(cls, values: Json, raw: Json) -> "Self":
        record = cls(**values)
        vars(record)["_raw"] = raw  # a frozen dataclass has no setters
        return record

    def _repr_html_(self) -> str:
        return notebook.render_fields(notebook.list_fields(self))


@dataclass(frozen=True)
class DownloadableRecord(Record):
    """Base class of the typed objects that have a signed URL."""

    @property
    def download_url(self) -> str | None:
        """The signed URL if the object was read by its id and has a file, or None."""
        return self.raw.get("download_url")


@dataclass(frozen=True)
class Member(Record):
    """Member of a project."""

    user_id: str = ""
    email: str = ""
    name: str = ""
    role: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True)
class TimelineEvent(Record):
    """Event of a project's timeline.

    Attributes:
        fields: The fields of the event's type, such as ``rows`` of a dataset.
    """

    id: str = ""
    type: str = ""
    name: str = ""
    timestamp: datetime | None = None
    fields: Json = field(default_factory=dict)

    @classmethod
    def _create(cls, values: Json, raw: Json) -> "Self":
        own = {name: value for name, value in raw.items() if name not in {"id", "type", "name", "timestamp"}}
        return super()._create(values | {"fields": own}, raw)


@dataclass(frozen=True)
class ActivityEntry(Record):
    """Entry of a project's audit trail: who did what, and when.

    Attributes:
        actor: ``{"user_id", "name"}`` of a user, or ``{"service"}``.
    """

    id: str = ""
    at: datetime | None = None
    actor: Json = field(default_factory=dict)
    action: str = ""

    @property
    def actor_name(self) -> str:
        return str(self.actor.get("name") or self.actor.get("service") or self.actor.get("user_id") or "")

    @property
    def object_name(self) -> str:
        """Name of the member, resource, export or project that was changed, or its id."""
        changed = self.raw.get("object") or {}
        return str(changed.get("name") or changed.get("id") or "")


@dataclass(frozen=True)
class Artifact(DownloadableRecord):
    """File of a resource."""

    file_name: str = ""
    size_bytes: int | None = None
    content_type: str | None = None
    download_url_expires_at: datetime | None = None


@dataclass(frozen=True)
class Resource(Record):
    """Dataset, experiment, model, deployment or report of a project."""

    id: str = ""
    type: str = ""
    name: str = ""
    timestamp: datetime | None = None
    fields: Json = field(default_factory=dict)
    origin: Json | None = None
    artifact: Artifact | None = field(
        default=None, metadata={"parse": lambda raw: None if raw is None else Artifact.from_json(raw)}
    )


@dataclass(frozen=True)
class Progress(Record):
    """Progress of an export or an import."""

    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    files_total: int = 0


def _parse_progress(raw: Json | None) -> Progress:
    return Progress.from_json(raw or {})


@dataclass(frozen=True)
class Export(DownloadableRecord):
    """Archive of a project, ready or being made."""

    id: str = ""
    status: str = ""
    trigger: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None
    size_bytes: int | None = None
    crc32: str | int | None = None
    progress: Progress = field(default_factory=Progress, metadata={"parse": _parse_progress})
    error: str | None = None
    download_url_expires_at: datetime | None = None


@dataclass(frozen=True)
class Import(Record):
    """Restoration of a project from an archive.

    Attributes:
        project_id: Id of the new project when the import is ready.
        errors: The first errors of an archive that was rejected.
        error_count: Number of all errors.
    """

    id: str = ""
    status: str = ""
    progress: Progress = field(default_factory=Progress, metadata={"parse": _parse_progress})
    project_id: str | None = None
    errors: list[Any] = field(default_factory=list)
    error_count: int = 0
    warnings: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class User(Record):
    """Registered user."""

    id: str = ""
    email: str = ""
    name: str = ""


@dataclass(frozen=True)
class Key(Record):
    """API key, without its secret."""

    id: str = ""
    scopes: list[str] = field(default_factory=list)
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Me(Record):
    """User and API key of the caller."""

    user: User = field(default_factory=User, metadata={"parse": User.from_json})
    key: Key = field(default_factory=Key, metadata={"parse": Key.from_json})
