"""What the API promises, as a model in memory: what each request is answered, and what is so afterwards.

It knows nothing of tables, and takes from the API's answers only what nobody can foresee: ids and times.
"""

from dataclasses import dataclass, field
from typing import Any

ROLES = ("viewer", "editor", "admin", "owner")
TYPES = ("dataset", "experiment", "model", "deployment", "report")
CHANGES = ("Created", "Updated", "Deleted")

NOT_FOUND, FORBIDDEN, CONFLICT, INVALID = 404, 403, 409, 422


@dataclass(frozen=True)
class Event:
    """What a sibling service says: what happened to a resource, and in which second."""

    type: str
    id: str
    change: str
    second: int

    @property
    def name(self) -> str:
        return f"{self.change} at {self.second}"

    @property
    def age(self) -> tuple[int, int]:
        """What is greater is newer."""
        return self.second, CHANGES.index(self.change)


@dataclass
class Member:
    role: str
    created_at: str


@dataclass
class Project:
    """A project as it is. ``asked`` are its exports, oldest first; the last is ``current`` until something changes."""

    id: str
    name: str
    description: str
    owner: str
    created_at: str
    updated_at: str
    members: dict[str, Member]
    newest: dict[tuple[str, str], Event] = field(default_factory=dict)
    deleted: bool = False
    asked: list[str] = field(default_factory=list)
    pending: bool = False
    current: bool = False

    def changed(self) -> None:
        self.current = self.pending

    def resources(self, type_: str | None = None) -> list[Event]:
        """Those there are, oldest first."""
        there = [one for one in self.newest.values() if one.change != "Deleted" and type_ in {None, one.type}]
        return sorted(there, key=lambda one: (one.second, one.type, one.id))

    def seen_by(self, who: str) -> dict[str, Any]:
        counts = {f"{type_}_count": len(self.resources(type_)) for type_ in TYPES}
        kept = {name: getattr(self, name) for name in ("id", "name", "description", "created_at", "updated_at")}
        return {**kept, **counts, "status": "active", "role": self.members[who].role}

    def refused(self, who: str, *, least: str = "viewer") -> int | None:
        """The status of what somebody may not do, for which ``least`` is the lowest role that may; else None."""
        if self.deleted or who not in self.members:
            return NOT_FOUND
        if ROLES.index(self.members[who].role) < ROLES.index(least):
            return FORBIDDEN
        return None

    def knows(self, event: Event) -> bool:
        """Whether an event says nothing new of a resource; once it is deleted it stays so."""
        before = self.newest.get((event.type, event.id))
        if before is None:
            return False
        return before.change == "Deleted" or (event.change != "Deleted" and event.age <= before.age)

    def record(self, event: Event) -> None:
        """Keeps what is newest of a resource."""
        if not self.knows(event):
            self.newest[event.type, event.id] = event
            self.changed()


@dataclass
class Model:
    """All projects there were, and what is on its way."""

    projects: dict[str, Project] = field(default_factory=dict)
    first_answers: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)

    def of(self, who: str) -> list[Project]:
        return [one for one in self.projects.values() if one.refused(who) is None]

    def listed(self, who: str, *, search: str, sort_field: str, descending: bool) -> list[Project]:
        def key(project: Project) -> tuple[Any, str]:
            value = project.seen_by(who)[sort_field]
            return (value.casefold() if sort_field == "name" else value), project.id

        wanted = search.casefold()
        found = [one for one in self.of(who) if wanted in one.name.casefold() or wanted in one.description.casefold()]
        return sorted(found, key=key, reverse=descending)

    def worked_off(self) -> None:
        """What the queues hold is done: exports are made, and what was deleted is purged with its Idempotency-Key."""
        for project in self.projects.values():
            project.current = project.current or project.pending
            project.pending = False
        self.first_answers = {
            key: answer for key, answer in self.first_answers.items() if not self.projects[answer[0]].deleted
        }
