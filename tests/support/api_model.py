"""A model of the API in memory, which predicts the response of each request and the state that follows.

The model knows nothing about tables. It takes only unpredictable values from the API's responses: ids and times.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ROLES = ("viewer", "editor", "admin", "owner")
TYPES = ("dataset", "experiment", "model", "deployment", "report")
CHANGES = ("Created", "Updated", "Deleted")

NOT_FOUND, FORBIDDEN, CONFLICT, INVALID = 404, 403, 409, 422


@dataclass(frozen=True)
class Event:
    """A resource event: the change of a resource, and the second in which it occurred."""

    type: str
    id: str
    change: str
    second: int

    @property
    def name(self) -> str:
        return f"{self.change} at {self.second}"

    @property
    def version(self) -> tuple[int, int]:
        """The order of events of a resource. The newer event has the greater value."""
        return self.second, CHANGES.index(self.change)


@dataclass
class Member:
    role: str
    created_at: str


@dataclass
class Project:
    """A project.

    Attributes:
        id: Its id.
        name: Its name.
        description: Its description.
        owner: The nick of its owner.
        created_at: The time of its creation, from the API's response.
        updated_at: The time of its last change, from the API's response. None until a response shows it.
        members: The members by nick, including the owner.
        latest_events: The newest event of each resource, by type and id.
        deleted: Whether the project is deleted.
        export_ids: The ids of its exports, oldest first.
        exporters: The nicks of those who started the exports.
        pending: Whether its latest export is pending.
        current: Whether its latest export contains all changes, and a request reuses it.
        activity: The number of entries of the activity, by action, actor and the id of the object.
        downloads: The nick and export id of each download.
    """

    id: str
    name: str
    description: str
    owner: str
    created_at: str
    updated_at: str | None
    members: dict[str, Member]
    latest_events: dict[tuple[str, str], Event] = field(default_factory=dict)
    deleted: bool = False
    export_ids: list[str] = field(default_factory=list)
    exporters: list[str] = field(default_factory=list)
    pending: bool = False
    current: bool = False
    activity: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    downloads: set[tuple[str, str]] = field(default_factory=set)

    def mark_changed(self) -> None:
        """Record that a request does not reuse the latest export any more, unless it is still pending."""
        self.current = self.pending
        self.updated_at = None

    def log(self, action: str, actor: str, object_id: str) -> None:
        """Record that the activity has one more entry."""
        self.activity[action, actor, object_id] += 1

    def download(self, nick: str, export_id: str) -> None:
        """Record that a member gets a URL of an export. Only the first one is in the activity."""
        if (nick, export_id) not in self.downloads:
            self.downloads.add((nick, export_id))
            self.log("export.downloaded", nick, export_id)

    def resources(self, type_: str | None = None) -> list[Event]:
        """Return the newest event of each resource that exists, in the order of the timeline."""
        existing = [
            event for event in self.latest_events.values() if event.change != "Deleted" and type_ in {None, event.type}
        ]
        return sorted(existing, key=lambda event: (event.second, event.type, event.id))

    def view_for(self, caller: str) -> dict[str, Any]:
        """Return the project as the API returns it to a member."""
        counts = {f"{type_}_count": len(self.resources(type_)) for type_ in TYPES}
        names = ("id", "name", "description", "created_at", *(["updated_at"] if self.updated_at else []))
        fields = {name: getattr(self, name) for name in names}
        return {**fields, **counts, "status": "active", "role": self.members[caller].role}

    def error_status(self, caller: str, *, minimum_role: str = "viewer") -> int | None:
        """Return the status of the error for a caller without the minimum role, or None for any other caller."""
        if self.deleted or caller not in self.members:
            return NOT_FOUND
        if ROLES.index(self.members[caller].role) < ROLES.index(minimum_role):
            return FORBIDDEN
        return None

    def ignores(self, event: Event) -> bool:
        """Return whether an event changes nothing. A deleted resource stays deleted."""
        latest = self.latest_events.get((event.type, event.id))
        if latest is None:
            return False
        return latest.change == "Deleted" or (event.change != "Deleted" and event.version <= latest.version)

    def record(self, event: Event) -> None:
        """Record an event, unless it changes nothing."""
        if not self.ignores(event):
            self.latest_events[event.type, event.id] = event
            self.mark_changed()


@dataclass
class ApiModel:
    """The state of the API.

    Attributes:
        projects: All projects, including the deleted ones, by id.
        idempotent_requests: The project id, the name and the description of the first request with an Idempotency-Key,
            by caller and key.
    """

    projects: dict[str, Project] = field(default_factory=dict)
    idempotent_requests: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)

    def list_projects(self, caller: str, *, search: str, sort_field: str, descending: bool) -> list[Project]:
        """Return the projects of a caller that match a search, in order."""

        def sort_key(project: Project) -> tuple[Any, str]:
            value = project.view_for(caller)[sort_field]
            return (value.casefold() if sort_field == "name" else value), project.id

        text = search.casefold()
        matches = [
            project
            for project in self.projects.values()
            if project.error_status(caller) is None
            and (text in project.name.casefold() or text in project.description.casefold())
        ]
        return sorted(matches, key=sort_key, reverse=descending)

    def process_queues(self) -> None:
        """Finish all pending work: exports become ready, deleted projects are purged with their Idempotency-Keys."""
        for project in self.projects.values():
            if project.pending:
                project.log("export.ready", project.exporters[-1], project.export_ids[-1])
            project.current = project.current or project.pending
            project.pending = False
        self.idempotent_requests = {
            key: request for key, request in self.idempotent_requests.items() if not self.projects[request[0]].deleted
        }
