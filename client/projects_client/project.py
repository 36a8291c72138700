"""A project, and everything that can be done with it."""

from __future__ import annotations

import unicodedata
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from projects_client import notebook
from projects_client.api import ApiClient, Json, parse_id
from projects_client.archive_export import ExportReader, export_to_file
from projects_client.errors import ConflictError, InvalidInputError, NotFoundError
from projects_client.file_download import DownloadedFile, download_files, find_path, select_path, select_paths
from projects_client.json_values import to_json
from projects_client.listing import Listing
from projects_client.paths import expand_path
from projects_client.progress import OnNote, OnProgress, ignore
from projects_client.records import ActivityEntry, Export, Import, Member, Resource, TimelineEvent, parse_time
from projects_client.remote_archive import RemoteArchive
from projects_client.upload import guess_content_type, upload_file

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from projects_client.download import Downloaded

#: Maximum page sizes of the API's lists.
MAX_MEMBERS_PAGE, MAX_EVENTS_PAGE, MAX_RESOURCES_PAGE, MAX_EXPORTS_PAGE, MAX_ACTIVITY_PAGE = 100, 1000, 1000, 100, 100


class Project:
    """Project of the caller.

    The attributes have the names of the API's fields. Every method sends requests, and raises a ``ProjectsClientError``
    when one fails.
    """

    def __init__(self, api: ApiClient, raw: Json) -> None:
        self._api, self.raw = api, raw
        self.id = str(raw["id"])
        self._path = f"/api/projects/{self.id}"

    @property
    def name(self) -> str:
        return str(self._get("name"))

    @property
    def description(self) -> str:
        return str(self._get("description"))

    @property
    def status(self) -> str:
        return str(self._get("status"))

    @property
    def role(self) -> str:
        """Role of the caller."""
        return str(self._get("role"))

    @property
    def dataset_count(self) -> int:
        return int(self._get("dataset_count"))

    @property
    def experiment_count(self) -> int:
        return int(self._get("experiment_count"))

    @property
    def model_count(self) -> int:
        return int(self._get("model_count"))

    @property
    def deployment_count(self) -> int:
        return int(self._get("deployment_count"))

    @property
    def report_count(self) -> int:
        return int(self._get("report_count"))

    @property
    def member_count(self) -> int:
        return int(self._get("member_count"))

    @property
    def created_at(self) -> datetime | None:
        return parse_time(self._get("created_at"))

    @property
    def updated_at(self) -> datetime | None:
        """Time of the last change of the project's content."""
        return parse_time(self._get("updated_at"))

    def refresh(self) -> Project:
        """Read the project again, and return it."""
        self.raw = self._api.get(self._path)["project"]
        return self

    def update(self, *, name: str | None = None, description: str | None = None) -> Project:
        """Change the name or the description, and return the project."""
        if name is None and description is None:
            raise InvalidInputError("There is nothing to change. Give a name, a description or both.")
        if name is None:
            name = self.refresh().name  # the API needs the name, and another member may have changed it
        body = {"name": name} if description is None else {"name": name, "description": description}
        self.raw = self._api.put(self._path, body)["project"]
        return self

    def delete(self) -> None:
        """Delete the project and all its data, permanently and for all members."""
        self._api.delete(self._path)

    def transfer_ownership(self, email: str) -> Project:
        """Make a member the owner, and the caller an admin; return the project."""
        self.raw = self._api.put(f"{self._path}/owner", {"email": email})["project"]
        return self

    def members(self) -> Listing[Member]:
        """Return the members, the owner first."""
        return Listing(
            partial(self._api.iterate_offset_pages, f"{self._path}/members", MAX_MEMBERS_PAGE),
            Member.from_json,
            columns=("email", "name", "role", "created_at"),
        )

    def add_member(self, email: str, role: str = "editor") -> Member:
        """Add a registered user as ``viewer``, ``editor`` or ``admin``, or change a member's role."""
        body = {"email": email, "role": role}
        return Member.from_json(self._api.post(f"{self._path}/members", body, idempotency_key=str(uuid4()))["member"])

    def remove_member(self, email_or_id: str) -> None:
        """Remove a member."""
        user_id = parse_id(email_or_id) or self._find_member(email_or_id).user_id
        self._api.delete(f"{self._path}/members/{user_id}")

    def leave(self) -> None:
        """Leave the project."""
        page = self._api.get(f"{self._path}/members", limit=1)
        user_id = page.get("caller_id") or self._api.get("/api/me")["user"]["id"]
        self._api.delete(f"{self._path}/members/{user_id}")

    def timeline(
        self,
        *,
        type: str | None = None,
        order: str = "asc",
        limit: int | None = None,
    ) -> Listing[TimelineEvent]:
        """Return the events of the timeline, oldest first unless ``order`` is ``desc``."""
        read = partial(
            self._api.iterate_cursor_pages,
            f"{self._path}/timeline",
            MAX_EVENTS_PAGE,
            items="events",
            limit=limit,
            type=type,
            order=order,
        )
        return Listing(read, TimelineEvent.from_json, items="events", columns=("timestamp", "type", "name", "fields"))

    def activity(self, *, action: str | None = None, limit: int | None = None) -> Listing[ActivityEntry]:
        """Return the audit trail, newest first; ``action`` filters, such as ``member.added``."""
        read = partial(
            self._api.iterate_cursor_pages, f"{self._path}/activity", MAX_ACTIVITY_PAGE, limit=limit, action=action
        )
        return Listing(read, ActivityEntry.from_json, columns=("at", "actor_name", "action", "object_name"))

    def resources(
        self,
        *,
        type: str | None = None,
        order: str = "asc",
        limit: int | None = None,
    ) -> Listing[Resource]:
        """Return the datasets, experiments, models, deployments and reports."""
        read = partial(
            self._api.iterate_cursor_pages,
            f"{self._path}/resources",
            MAX_RESOURCES_PAGE,
            limit=limit,
            type=type,
            order=order,
        )
        return Listing(read, Resource.from_json, columns=("timestamp", "type", "name", "fields", "id"))

    def resource(self, resource_id: str | Resource) -> Resource:
        """Return one resource, with a download URL if it has a file.

        Raises:
            NotFoundError: The project has no such resource.
        """
        return Resource.from_json(self._api.get(self._get_resource_path(resource_id))["resource"])

    def create_resource(self, type: str, name: str, fields: Json | None = None) -> Resource:
        """Record a resource without a file.

        Args:
            type: ``dataset``, ``experiment``, ``model``, ``deployment`` or ``report``.
            name: Name of the resource.
            fields: Further fields, such as ``{"status": "completed"}``; values of numpy and pandas are converted.
        """
        body = {"type": type, "name": name, "fields": to_json(fields or {})}
        return Resource.from_json(
            self._api.post(f"{self._path}/resources", body, idempotency_key=str(uuid4()))["resource"]
        )

    def delete_resource(self, resource_id: str | Resource) -> None:
        """Delete a resource, and its file if it was uploaded here."""
        self._api.delete(self._get_resource_path(resource_id))

    def upload(
        self,
        path: str | Path,
        type: str = "dataset",
        *,
        name: str | None = None,
        fields: Json | None = None,
        content_type: str | None = None,
        replace: str | Resource | None = None,
        progress: OnProgress = ignore,
        note: OnNote = ignore,
    ) -> Resource:
        """Upload a file as a resource. A repeated call resumes an upload that was interrupted.

        After a complete upload, a repeated call adds another resource: ``replace`` prevents that.

        Args:
            path: The file. Save a DataFrame first, for example with ``to_parquet``.
            type: ``dataset``, ``experiment``, ``model``, ``deployment`` or ``report``.
            name: Name of the resource; by default the name of the file.
            fields: Further fields, such as ``{"rows": 100}``; values of numpy and pandas are converted.
            content_type: Content type of the file; by default guessed from its name.
            replace: Resource to replace, or its id.
            progress: Called with each step.
            note: Called with sentences about what is unusual.
        """
        file = Path(expand_path(path))
        body: Json = {"type": type, "name": file.name if name is None else name, "fields": to_json(fields or {})}
        file_body = {"name": file.name, "content_type": content_type or guess_content_type(file)}
        resource_path = f"{self._path}/resources" if replace is None else self._get_resource_path(replace)

        def create(size: int, part_size: int, key: str) -> Json:
            whole = body | {"file": file_body | {"size_bytes": size}, "part_size_bytes": part_size}
            send = self._api.post if replace is None else self._api.put
            return dict(send(resource_path, whole, idempotency_key=key)["upload"])

        identity = {"path": resource_path, **body, **{f"file_{key}": value for key, value in file_body.items()}}
        response = upload_file(self._api, file, identity, create, on_progress=progress, on_note=note)
        return Resource.from_json(response["resource"])

    def exports(self, *, limit: int | None = None) -> Listing[Export]:
        """Return the exports, newest first."""
        read = partial(self._api.iterate_cursor_pages, self._exports.path, MAX_EXPORTS_PAGE, limit=limit)
        return Listing(read, Export.from_json, columns=("created_at", "status", "trigger", "size_bytes", "id"))

    def get_export(self, export_id: str) -> Export:
        """Return an export, with a download URL if it is ready."""
        return self._exports.get(export_id)

    def start_export(self, *, fresh: bool = False) -> Export:
        """Start an export without waiting for it; ``fresh`` does not use the previous archive."""
        return self._exports.start(fresh=fresh)

    def cancel_export(self, export_id: str) -> None:
        """Cancel an unfinished export, for everybody who waits for it."""
        self._api.delete(f"{self._exports.path}/{_require_id(export_id, 'export')}")

    def export(
        self,
        path: str | Path = ".",
        *,
        update: bool = False,
        force: bool = False,
        fresh: bool = False,
        export_id: str | None = None,
        progress: OnProgress = ignore,
        note: OnNote = ignore,
    ) -> Downloaded:
        """Download the project as a ZIP archive, and check every file in it. A repeated call resumes.

        Args:
            path: File or folder to write to.
            update: Replace an older archive at ``path``, and download only what is new.
            force: Replace an existing file.
            fresh: Create the archive without using the previous one.
            export_id: Id of an earlier export to download.
            progress: Called with each step.
            note: Called with sentences about what is unusual.
        """
        return export_to_file(
            self._exports,
            self.name,
            expand_path(path),
            export_id=export_id,
            fresh=fresh,
            update=update,
            force=force,
            on_progress=progress,
            on_note=note,
        )

    def archive(self, *, progress: OnProgress = ignore) -> RemoteArchive:
        """Return the archive of the project's current state, to read single files of it."""
        export = self._exports.wait(self._exports.request_current(), progress)
        return RemoteArchive(self._exports.open_storage(export))

    def open(self, file: str | Resource) -> io.BufferedReader:
        """Return a file of the project's archive as a seekable binary file, which reads only what is asked for.

        Args:
            file: A resource, a path in the archive, or the name of a file if only one path ends with it.

        Example:
            >>> pandas.read_csv(project.open("transactions.csv"))

        Raises:
            NotFoundError: The archive has no such file.
            ConflictError: Several files have the name.
        """
        archive = self.archive()
        if isinstance(file, Resource):
            return archive.open(find_path(archive.read_manifest(), file.id))
        return archive.open(select_path(list(archive.entries), file))

    def download(
        self,
        patterns: str | Sequence[str] = (),
        folder: str | Path = ".",
        *,
        type: str | None = None,
        force: bool = False,
        progress: OnProgress = ignore,
    ) -> list[DownloadedFile]:
        """Download files of the project without the rest of its archive. A repeated call resumes.

        Args:
            patterns: Paths, folders, names of files or globs; without any, all files.
            folder: Folder to write to.
            type: Only files of resources of this type.
            force: Replace existing files that differ.
            progress: Called with each step.
        """
        archive = self.archive(progress=progress)
        paths = select_paths(archive.read_manifest(), [patterns] if isinstance(patterns, str) else patterns, type)
        return download_files(archive, paths, Path(expand_path(folder)), force=force, on_progress=progress)

    def copy(self, name: str | None = None, *, members: str = "none", progress: OnProgress = ignore) -> Project:
        """Return a copy of the project, which the caller owns.

        Args:
            name: Name of the copy; by default the name of the project.
            members: ``none``, or ``match`` to add the members whose emails are registered.
            progress: Called with each step.
        """
        from projects_client.project_import import wait_for_import  # noqa: PLC0415 - it imports this module

        return wait_for_import(self._api, self.start_copy(name=name, members=members), progress)

    def start_copy(self, name: str | None = None, *, members: str = "none") -> Import:
        """Start a copy of the project, and return the import without waiting for it."""
        export = self._exports.wait(self._exports.request_current())
        body: Json = {"project_id": self.id, "export_id": export.id, "members": members}
        if name is not None:
            body["name"] = name
        return Import.from_json(self._api.post("/api/imports", body, idempotency_key=str(uuid4()))["import"])

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same project of the same deployment, whatever was read of it."""
        return isinstance(other, Project) and (self._api.url, self.id) == (other._api.url, other.id)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Project {repr(self.raw['name']) + ' ' if 'name' in self.raw else ''}{self.id}>"

    def _repr_html_(self) -> str:
        self._get("name")
        shown = ("name", "description", "role", "dataset_count", "experiment_count", "model_count")
        values = {name.replace("_", " "): self.raw.get(name) for name in shown}
        times = {"created at": self.created_at, "updated at": self.updated_at}
        return notebook.render_fields(values | times | {"id": self.id})

    @property
    def _exports(self) -> ExportReader:
        return ExportReader(self._api, self.id)

    def _get(self, name: str) -> Any:
        if name not in self.raw:
            self.refresh()
        return self.raw[name]

    def _get_resource_path(self, resource: str | Resource) -> str:
        resource_id = resource.id if isinstance(resource, Resource) else resource
        return f"{self._path}/resources/{_require_id(resource_id, 'resource')}"

    def _find_member(self, email: str) -> Member:
        normalized_email = _fold_email(email)
        for member in self.members():
            if _fold_email(member.email) == normalized_email:
                return member
        raise NotFoundError(f"{email} is not a member of the project. `project.members()` shows its members.")


def match_id(text: str, ids: Iterable[str], noun: str) -> str:
    """Return an id for its text, or for its first characters, as narrow terminals show them.

    Raises:
        NotFoundError: No id starts with the text.
        ConflictError: Several ids do.
    """
    if canonical_id := parse_id(text):
        return canonical_id
    matches = sorted({each for each in ids if len(text) >= 8 and each.startswith(text.lower())})  # noqa: PLR2004 - a prefix of an id
    if not matches:
        raise InvalidInputError(f"'{text}' is not the id of {noun}.")
    if len(matches) > 1:
        raise ConflictError(f"'{text}' is the start of several ids: {', '.join(matches)}.")
    return matches[0]


def _require_id(text: str, noun: str) -> str:
    canonical_id = parse_id(text)
    if canonical_id is None:
        article = "an" if noun[0] in "aeiou" else "a"
        raise InvalidInputError(f"'{text}' is not the id of {article} {noun}. `project.{noun}s()` shows the ids.")
    return canonical_id


def _fold_email(email: str) -> str:
    """Return an email address as the API compares it: trimmed, in NFC and lower case."""
    return unicodedata.normalize("NFC", email.strip()).lower().replace("ς", "σ")
