"""fsspec filesystem of the newest archives: ``projects://PROJECT_ID/datasets/7/transactions.csv``.

pandas and others open such URLs once the extra ``fsspec`` is installed. For polars, use ``Project.open``.
"""

import errno
import io
from typing import Any, ClassVar

from fsspec.spec import AbstractFileSystem

from projects_client.client import Client
from projects_client.errors import NotFoundError
from projects_client.remote_archive import RemoteArchive


class ProjectsFileSystem(AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """Read-only filesystem, with a folder for each project, by its id or unique name.

    Args:
        url: Base URL of the API; by default as for ``Client``.
        key: API key.
        profile: Name of a saved profile.
    """

    protocol: ClassVar[str] = "projects"
    root_marker = ""

    def __init__(
        self, url: str | None = None, key: str | None = None, profile: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._client = Client(url, key, profile=profile)
        self._archives: dict[str, RemoteArchive] = {}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """Return the entries of a folder, or a file itself."""
        path = self._strip_protocol(path).strip("/")
        rows = self._list_projects() if not path else self._list_folder(path)
        return rows if detail else [row["name"] for row in rows]

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget which archives are the newest."""
        self._archives.clear()
        super().invalidate_cache(path)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if mode != "rb":
            raise io.UnsupportedOperation("Archives can only be read. `Project.upload` adds a file to a project.")
        project, _, name = self._strip_protocol(path).strip("/").partition("/")
        archive = self._get_archive(project)
        try:
            return archive.open(name)
        except NotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, str(error), path) from None

    def _list_projects(self) -> list[dict[str, Any]]:
        return [{"name": project.id, "size": 0, "type": "directory"} for project in self._client.projects.list()]

    def _list_folder(self, path: str) -> list[dict[str, Any]]:
        project, _, folder = path.partition("/")
        entries = self._get_archive(project).entries
        if folder in entries:
            return [{"name": path, "size": entries[folder].size, "type": "file"}]
        prefix = f"{folder}/" if folder else ""
        rows: dict[str, dict[str, Any]] = {}
        for name, entry in entries.items():
            if name.startswith(prefix):
                first, slash, _ = name[len(prefix) :].partition("/")
                full = f"{path}/{first}"
                rows[full] = {
                    "name": full,
                    "size": 0 if slash else entry.size,
                    "type": "directory" if slash else "file",
                }
        if not rows:
            raise FileNotFoundError(path)
        return list(rows.values())

    def _get_archive(self, project: str) -> RemoteArchive:
        if project not in self._archives:
            self._archives[project] = self._client.projects.get(project).archive()
        return self._archives[project]
