"""The plan of an import: the archive and its manifest, checked against each other before anything is written.

The archive is treated as hostile. ``plan_import`` either returns a plan, or raises an error that lists everything that
is wrong. It holds the entries and the paths of the files in memory, and reads the manifest row by row.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from pydantic import ValidationError

from projects_api.archive.archive_errors import ArchiveError, ErrorList
from projects_api.archive.central_directory import ArchiveEntry
from projects_api.archive.end_records import Read
from projects_api.archive.entry_content import read_content
from projects_api.archive.inflate import InflateError
from projects_api.archive.manifest import MANIFEST_PATH
from projects_api.archive.manifest_reader import MAX_MANIFEST_SIZE, ManifestError, Row, read_rows
from projects_api.archive.zip_reader import read_entries
from projects_api.domain.imports.manifest_rows import (
    FORBIDDEN_IN_TEXTS,
    FileRow,
    MemberRow,
    ProjectRow,
    ResourceRow,
    clean_name,
    parse_file,
    parse_resource,
)
from projects_api.domain.resource_fields import MAX_KEY_SIZE
from projects_api.domain.resource_versions import Change, resource_from_event
from projects_api.entities.errors import redact, summarize_validation_error
from projects_api.entities.ids import ImportId, ProjectId, ResourceId
from projects_api.entities.resource import Artifact, Origin, Resource, ResourceType, artifacts_prefix
from projects_api.entities.text import is_blank

#: Maximum number of members in a manifest.
MAX_MEMBERS = 10_000

#: Entries that archivers add. An import ignores them unless the manifest names them.
_JUNK = re.compile(r"(?:.*/)?(?:__MACOSX/.*|\.DS_Store)|META-INF/MANIFEST\.MF")


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the archive and the artifact that it becomes.

    Attributes:
        entry: The entry in the archive.
        key: The key of the artifact.
        content_type: The content type of the object.
    """

    entry: ArchiveEntry
    key: str
    content_type: str


@dataclass
class ImportPlan:
    """The plan of an import.

    Attributes:
        project_id: The new project.
        import_id: The import.
        read: Reads a range of the archive.
        manifest: The entry of the manifest.
        source_project_id: The id of the project in the manifest.
        name: The project's name in the manifest.
        description: The project's description.
        members: The members in the manifest.
        counts: The number of resources by type.
        files: The files in the order of their bytes in the archive.
        warnings: Remarks on the archive, as sentences.
        artifacts: The artifacts by the path that resources have in the manifest.
    """

    project_id: ProjectId
    import_id: ImportId
    read: Read
    manifest: ArchiveEntry
    source_project_id: ProjectId
    name: str = ""
    description: str = ""
    members: list[MemberRow] = field(default_factory=list)
    counts: Counter[ResourceType] = field(default_factory=Counter)
    files: list[PlannedFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    artifacts: dict[str, Artifact] = field(default_factory=dict)

    def list_resources(self) -> Iterator[Resource]:
        """Yield the resources of the new project, by reading the manifest again."""
        version = 1
        for row in read_rows(read_content(self.read, self.manifest)):
            if row.section == "format":
                version = row.value
            elif row.section == "resources":
                parsed = parse_resource(row, version)
                yield resource_from_event(
                    id=new_resource_id(self.import_id, parsed.id),
                    type=parsed.type,
                    change=Change.CREATED,
                    name=parsed.name,
                    occurred_at=parsed.timestamp,
                    fields=parsed.fields,
                    artifact=self.artifacts[parsed.path] if parsed.path is not None else None,
                    origin=Origin(self.source_project_id, ResourceId(str(parsed.id))),
                )


def new_resource_id(import_id: ImportId, resource_id: UUID) -> ResourceId:
    """Return the id of an imported resource. The same import always gives the same id, so that it can be resumed."""
    return ResourceId(str(uuid5(UUID(import_id), str(resource_id))))


def plan_import(
    read: Read,
    size: int,
    *,
    import_id: ImportId,
    project_id: ProjectId,
    name: str | None = None,
    map_: Callable[..., Iterable[None]] = map,
    check: Callable[[], None] = lambda: None,
) -> ImportPlan:
    """Return the plan of an import.

    Args:
        read: Reads a range of the archive.
        size: The size of the archive in bytes.
        import_id: The import.
        project_id: The new project.
        name: The name of the new project, or None for the name in the manifest.
        map_: A function like the built-in ``map`` that may call in parallel.
        check: Called between reads. It raises an error to stop.

    Raises:
        ArchiveError: The archive or the manifest is invalid.
    """

    def read_and_check(start: int, length: int) -> bytes:
        check()
        return read(start, length)

    entries = {entry.path: entry for entry in read_entries(read_and_check, size, map_=map_)}
    prefix = _find_folder(entries)
    manifest = entries[prefix + MANIFEST_PATH]
    if manifest.size > MAX_MANIFEST_SIZE:
        raise ArchiveError([f"The manifest has {manifest.size} bytes, more than {MAX_MANIFEST_SIZE}."], 1)
    plan = ImportPlan(project_id, import_id, read_and_check, manifest, ProjectId(""))
    if prefix:
        plan.warnings.append(f"All files are in the folder {redact(prefix.removesuffix('/'))}, which is ignored.")
    errors = ErrorList()
    try:
        content = _read_manifest(plan, errors)
    except ManifestError as error:
        raise ArchiveError([*errors.errors, str(error)][: ErrorList.MAX_ERRORS], errors.count + 1) from None
    except InflateError as error:
        raise ArchiveError([f"The manifest: {error}."], 1) from None
    if name is None and is_blank(plan.name):
        errors.add("The project has no name that shows something. Give a name when you start the import.")
    _match_entries(plan, entries, prefix, content, errors)
    errors.raise_if_any()
    _assign_keys(plan, content)
    return plan


# ----------------------------------------------------------------------------------------------------------- entries


def _find_folder(entries: dict[str, ArchiveEntry]) -> str:
    """Return the folder that contains all files, with a ``/`` at its end, or no folder.

    Raises:
        ArchiveError: There is no manifest.
    """
    if MANIFEST_PATH in entries:
        return ""
    folders = {path.partition("/")[0] + "/" for path in entries if not _JUNK.fullmatch(path)}
    if len(folders) == 1 and (folder := folders.pop()) + MANIFEST_PATH in entries:
        return folder
    raise ArchiveError([f"The archive has no {MANIFEST_PATH} at its top or in the one folder around everything."], 1)


# ---------------------------------------------------------------------------------------------------------- manifest


@dataclass
class _Content:
    """The parts of a manifest that the archive is compared with.

    Attributes:
        files: The files by path.
        used_paths: For each path that resources have, the name of the first resource.
        resource_ids: The ids of all resources.
        resource_keys: The types and ids of all resources.
    """

    files: dict[str, FileRow] = field(default_factory=dict)
    used_paths: dict[str, str] = field(default_factory=dict)
    resource_ids: set[UUID] = field(default_factory=set)
    resource_keys: set[tuple[ResourceType, UUID]] = field(default_factory=set)

    def add_resource(self, resource: ResourceRow) -> None:
        """Add a resource.

        Raises:
            ValueError: It is there already.
        """
        if (resource.type, resource.id) in self.resource_keys:
            raise ValueError("the manifest has this resource twice")
        self.resource_keys.add((resource.type, resource.id))
        self.resource_ids.add(resource.id)
        if resource.path is not None:
            self.used_paths.setdefault(resource.path, resource.name)

    def add_file(self, file: FileRow) -> None:
        """Add a file.

        Raises:
            ValueError: It is there already.
        """
        if file.path in self.files:
            raise ValueError("the manifest has this file twice")
        self.files[file.path] = file


def _read_manifest(plan: ImportPlan, errors: ErrorList) -> _Content:
    """Read the manifest into the plan and the returned content, and add an error for each invalid row."""
    content = _Content()
    version = 1
    for row in read_rows(read_content(plan.read, plan.manifest)):
        if row.section == "format":
            version = row.value
            continue
        if row.section == "members" and row.number > MAX_MEMBERS:
            raise ManifestError(f"The manifest has more than {MAX_MEMBERS} members.")
        try:
            _add_row(plan, content, row, version)
        except ValidationError as error:
            errors.add(f"{_show_row(row)}: {summarize_validation_error(error)}.")
        except ValueError as error:
            errors.add(f"{_show_row(row)}: {error}.")
    return content


def _add_row(plan: ImportPlan, content: _Content, row: Row, version: int) -> None:
    match row.section:
        case "project":
            _add_project(plan, ProjectRow.model_validate(row.value))
        case "members":
            plan.members.append(MemberRow.model_validate(row.value))
        case "resources":
            resource = parse_resource(row, version)
            content.add_resource(resource)
            plan.counts[resource.type] += 1
        case _:
            content.add_file(parse_file(row))


def _show_row(row: Row) -> str:
    labels = {"members": "member", "resources": "resource", "files": "file"}
    return f"Manifest, {labels[row.section]} {row.number}" if row.number else f"Manifest, {row.section}"


def _add_project(plan: ImportPlan, row: ProjectRow) -> None:
    """Take the project's id, name and description. Characters that names must not have are left out."""
    plan.source_project_id = ProjectId(str(row.id))
    plan.name = clean_name(row.name)
    plan.description = FORBIDDEN_IN_TEXTS.sub("", row.description).strip()


# ------------------------------------------------------------------------------------------------------------- match


def _match_entries(
    plan: ImportPlan, entries: dict[str, ArchiveEntry], prefix: str, content: _Content, errors: ErrorList
) -> None:
    """Compare the manifest with the archive and with itself, and add the files to the plan."""
    _match_resources(content, errors)
    for path, file in content.files.items():
        entry = entries.get(prefix + path)
        if entry is None:
            errors.add(f"The archive has no entry for the file {redact(path)} of the manifest.")
        elif entry.size != file.size or entry.crc32 != int(file.crc32, 16):
            errors.add(f"Entry {redact(entry.path)}: its size or checksum is not the one in the manifest.")
        else:
            plan.files.append(PlannedFile(entry, "", file.content_type))
    ignored = 0
    for path in sorted(entries.keys() - {prefix + path for path in (MANIFEST_PATH, *content.files)}):
        if _JUNK.fullmatch(path) or _JUNK.fullmatch(path.removeprefix(prefix)):
            ignored += 1
        else:
            errors.add(f"Entry {redact(path)}: the manifest does not name it.")
    if ignored:
        plan.warnings.append(f"{ignored} entries that archivers add, such as .DS_Store, are ignored.")
    plan.files.sort(key=lambda file: file.entry.data_offset)


def _match_resources(content: _Content, errors: ErrorList) -> None:
    """Compare the resources of the manifest with its files."""
    used_paths = set()
    for path, name in content.used_paths.items():
        used_paths.add(normal_path := unicodedata.normalize("NFC", path))
        if normal_path not in content.files:
            errors.add(f"Manifest, resource {redact(name)}: its path {redact(path)} is not among the files.")
    for path, file in content.files.items():
        if path not in used_paths:
            errors.add(f"Manifest, file {redact(path)}: no resource has this file.")
        if file.resource_id not in content.resource_ids:
            errors.add(f"Manifest, file {redact(path)}: its resource_id is not among the resources.")


def _assign_keys(plan: ImportPlan, content: _Content) -> None:
    """Give each file the key of its artifact: the path with the new ids of resources, and its original name."""
    new_ids = {str(old): str(new_resource_id(plan.import_id, old)) for old in content.resource_ids}
    keys: set[str] = set()
    by_entry: dict[str, tuple[str, str]] = {}
    for path, file in sorted(content.files.items()):
        *folders, last = path.split("/")
        folders = [new_ids.get(folder, folder) for folder in folders]
        prefix = artifacts_prefix(plan.project_id)
        owner = new_ids[str(file.resource_id)]
        candidates = (
            "/".join([*folders, file.file_name or last]),
            "/".join([*folders, last]),
            f"files/{owner}/{last}",
            f"files/{owner}/{len(keys)}",
        )
        key = next(
            prefix + name
            for name in candidates
            if prefix + name not in keys and len((prefix + name).encode()) <= MAX_KEY_SIZE
        )
        keys.add(key)
        plan.artifacts[path] = artifact = Artifact(key, file.content_type, size_bytes=file.size)
        by_entry[path] = key, artifact.content_type_header
    for path in content.used_paths:
        plan.artifacts[path] = plan.artifacts[unicodedata.normalize("NFC", path)]
    root = plan.manifest.path.removesuffix(MANIFEST_PATH)
    plan.files = [PlannedFile(file.entry, *by_entry[file.entry.path.removeprefix(root)]) for file in plan.files]
