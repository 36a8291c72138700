"""Entry point of the library: a client of one deployment with one API key."""

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from projects_client.api import ApiClient, normalize_url, parse_id
from projects_client.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
)
from projects_client.listing import Listing
from projects_client.paths import expand_path
from projects_client.profiles import DEFAULT_PROFILE, list_profiles, load_profile
from projects_client.progress import OnNote, OnProgress, ignore
from projects_client.project import Project
from projects_client.project_import import get_import, start_import, wait_for_import
from projects_client.records import Import, Me

MAX_PROJECTS_PAGE = 500

#: The first characters of an id, as narrow terminals show them.
_ID_START: Final = re.compile(r"[0-9a-fA-F]{8}[0-9a-fA-F-]{,28}")

_COLUMNS = ("name", "role", "dataset_count", "experiment_count", "model_count", "created_at", "id")


class Client:
    """Client of the Projects API.

    Without arguments, URL and key come from ``PROJECTS_API_URL`` and ``PROJECTS_API_KEY``, or from the profile that
    ``projects login`` saved. A saved key is only used with the URL that it was saved with.

    Args:
        url: Base URL of the API, such as ``https://host``.
        key: API key.
        profile: Name of a saved profile, which then wins over the environment.

    Raises:
        InvalidInputError: The URL is missing or invalid, or there is no such profile.
        NotAuthenticatedError: The key is missing, or contains characters that no key has.

    Example:
        >>> client = Client()
        >>> for project in client.projects.list(search="fraud"):
        ...     print(project.name, project.role)
    """

    def __init__(self, url: str | None = None, key: str | None = None, *, profile: str | None = None) -> None:
        self.api = ApiClient(*find_credentials(url, key, profile))
        self.projects = Projects(self.api)

    @property
    def url(self) -> str:
        return self.api.url

    def me(self) -> Me:
        """Return the user and the key of the caller."""
        return Me.from_json(self.api.get("/api/me"))

    def import_project(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        members: str = "none",
        progress: OnProgress = ignore,
        note: OnNote = ignore,
    ) -> Project:
        """Restore a project from its archive, and return the new project. A repeated call resumes the upload.

        Args:
            path: The archive.
            name: Name of the project; by default the name in the archive.
            members: ``none``, or ``match`` to add the members whose emails are registered.
            progress: Called with each step.
            note: Called with sentences about what is unusual.

        Raises:
            ImportFailedError: The service rejected the archive.
        """
        started = self.start_import(path, name=name, members=members, progress=progress, note=note)
        return wait_for_import(self.api, started, progress)

    def start_import(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        members: str = "none",
        progress: OnProgress = ignore,
        note: OnNote = ignore,
    ) -> Import:
        """Upload an archive, and return the import without waiting for it."""
        return start_import(self.api, Path(expand_path(path)), name=name, members=members, progress=progress, note=note)

    def get_import(self, import_id: str) -> Import:
        """Return an import."""
        return get_import(self.api, import_id)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"


class Projects:
    """Projects of the caller."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def __repr__(self) -> str:
        return f"<Projects at {self._api.url}: use list(), get() or create()>"

    def list(
        self, *, search: str = "", sort_field: str = "created_at", sort_direction: str = "desc"
    ) -> Listing[Project]:
        """Return the projects that the caller owns or is a member of.

        Args:
            search: Only projects with this text in their name or description.
            sort_field: ``created_at``, ``updated_at``, ``name``, ``dataset_count``, ``model_count`` or
                ``experiment_count``.
            sort_direction: ``asc`` or ``desc``.
        """
        query = {"search": search, "sort_field": sort_field, "sort_direction": sort_direction}
        read = partial(self._api.iterate_offset_pages, "/api/projects", MAX_PROJECTS_PAGE, **query)
        return Listing(read, partial(Project, self._api), columns=_COLUMNS)

    def get(self, text: str | UUID) -> Project:
        """Return the project with an id, a name, or the first characters of an id.

        An id comes first, then a name, then the start of an id. Names match exactly, or else without regard to case.

        Raises:
            NotFoundError: The caller has no such project.
            ConflictError: Several projects have the name; the text lists their ids.
            ForbiddenError: The API key has no read scope.
        """
        if not isinstance(text, str | UUID) or not str(text).strip():
            raise InvalidInputError(f"{text!r:.100} is neither a name nor an id of a project. Give one of them.")
        not_found: NotFoundError | None = None
        if project_id := parse_id(text):
            try:
                return Project(self._api, {"id": project_id}).refresh()
            except NotFoundError as error:
                not_found = error
        try:
            return self._find_by_name(_normalize(str(text)))
        except NotFoundError:
            if not_found is None:
                raise
            raise not_found from None

    def get_reference(self, text: str) -> Project:
        """Return the same as ``get``, but for an id also with a key that may not read.

        Such a project has only its id, and its other attributes are read when they are used.
        """
        try:
            return self.get(text)
        except ForbiddenError:
            if project_id := parse_id(text):
                return Project(self._api, {"id": project_id})
            raise

    def create(self, name: str, description: str = "", *, idempotency_key: str | None = None) -> Project:
        """Create a project, which the caller owns.

        Args:
            name: The name: not blank, at most 200 characters.
            description: The description: at most 2,000 characters.
            idempotency_key: Text that makes a repeated call within a day return the same project.
        """
        key = str(uuid4()) if idempotency_key is None else idempotency_key
        if not (key.strip() == key != "" and key.isascii() and key.isprintable()):
            raise InvalidInputError("An idempotency key must be printable ASCII, without a space at its start or end.")
        body = {"name": name, "description": description}
        return Project(self._api, self._api.post("/api/projects", body, idempotency_key=key)["project"])

    def _find_by_name(self, name: str) -> Project:
        try:
            candidates = [*self.list(search=name)]
        except ForbiddenError as error:
            raise ForbiddenError(f"{error} Or give the project's id: looking up a name needs read access.") from None
        same_letters: Sequence[Project] = [
            each for each in candidates if _normalize(each.name).casefold() == name.casefold()
        ]
        matches = [each for each in same_letters if _normalize(each.name) == name] or same_letters
        if not matches and _ID_START.fullmatch(name) and not parse_id(name):
            matches = [each for each in self.list() if each.id.startswith(name.lower())]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            suggestions = ", ".join(f"'{project.name}'" for project in candidates[:3])
            raise NotFoundError(
                f"You have no project named '{name}'. "
                + (f"Did you mean {suggestions}?" if suggestions else "`client.projects.list()` shows your projects.")
            )
        ids = ", ".join(project.id for project in matches)
        raise ConflictError(f"You have {len(matches)} projects named '{name}'. Give the id of one of them: {ids}.")


def find_credentials(url: str | None, key: str | None, profile: str | None) -> tuple[str, str]:
    """Return URL and key from the arguments, a profile that is named, the environment, or the default profile.

    A saved key is never sent to another URL than its own.

    Raises:
        InvalidInputError: The URL is missing, or there is no such profile.
        NotAuthenticatedError: The key is missing, or contains characters that no key has.
    """
    if profile is None:
        url, key = url or os.environ.get("PROJECTS_API_URL"), key or os.environ.get("PROJECTS_API_KEY")
        profile_name = os.environ.get("PROJECTS_PROFILE") or DEFAULT_PROFILE
    else:
        profile_name = profile
    url = url.strip() if url else None
    saved = load_profile(profile_name) if profile is not None or not (url and key) else None
    if saved is None and profile is not None:
        names = ", ".join(f"'{name}'" for name in list_profiles())
        raise InvalidInputError(
            f"There is no profile '{profile}'. {f'There are {names}.' if names else ''} "
            f"`projects --profile {shlex.quote(profile)} login` creates it.".replace("  ", " ")
        )
    if saved is not None and (url is None or normalize_url(url) == normalize_url(saved.url)):
        url, key = saved.url, key or saved.key
    if not url:
        raise InvalidInputError(
            "The URL of the API is missing. Give `Client(url, key)`, set PROJECTS_API_URL, or run `projects login`."
        )
    if not key:
        raise NotAuthenticatedError(
            "The API key is missing. Give `Client(url, key)`, set PROJECTS_API_KEY, or run `projects login`. "
            "Operators issue keys."
        )
    return url, check_key(key)


def check_key(key: str) -> str:
    """Return a key without the byte order mark and the line end that a key from a file may have.

    Raises:
        NotAuthenticatedError: The key is empty, or contains characters that no key has.
    """
    stripped = key.removeprefix("\ufeff").strip()
    if not stripped:
        raise NotAuthenticatedError("The API key is empty. Copy the key again.")
    if not (stripped.isascii() and stripped.isprintable()):
        raise NotAuthenticatedError("The API key contains characters that no API key has. Copy the key again.")
    return stripped


def _normalize(name: str) -> str:
    """Return a name as the API stores it: trimmed and in NFC."""
    return unicodedata.normalize("NFC", name).strip()
