"""Creating, reading, changing and deleting projects."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require_membership
from projects_api.entities.clock import now
from projects_api.entities.errors import InvalidInputError, ProjectNotFoundError, StorageUnavailableError
from projects_api.entities.ids import ProjectId, UserId, new_id
from projects_api.entities.project import Caller, Membership, Project
from projects_api.entities.resource import ResourceType
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import member_store, project_store

#: How many memberships of a deleted project end before the answer, in some 30 calls.
MAX_MEMBERS_REMOVED = 1_000


class SortField(StrEnum):
    CREATED_AT = "created_at"
    NAME = "name"
    DATASET_COUNT = "dataset_count"
    MODEL_COUNT = "model_count"
    EXPERIMENT_COUNT = "experiment_count"


_SORT_KEYS: dict[SortField, Callable[[Project], object]] = {
    SortField.CREATED_AT: lambda project: project.created_at,
    SortField.NAME: lambda project: project.name.casefold(),
    SortField.DATASET_COUNT: lambda project: project.counts[ResourceType.DATASET],
    SortField.MODEL_COUNT: lambda project: project.counts[ResourceType.MODEL],
    SortField.EXPERIMENT_COUNT: lambda project: project.counts[ResourceType.EXPERIMENT],
}


@dataclass(frozen=True, slots=True)
class ProjectPage:
    memberships: list[Membership]
    total: int


def get(user_id: UserId, project_id: ProjectId, action: Action = Action.READ) -> Membership:
    """The project, for a member who may do ``action``.

    Raises:
        ProjectNotFoundError: The caller is no member of it.
        NotAllowedError: The caller's role is too low.
    """
    return require_membership(project_store.find(project_id, user_id)[0], action)


def list_page(
    user_id: UserId, *, limit: int, offset: int, search: str, sort_field: SortField, descending: bool
) -> ProjectPage:
    """A page of the projects that the user owns or was added to.

    In the order of creation the table has them sorted, so that a page costs what it holds. Another order, or a
    search, reads all of the user's projects.
    """
    if sort_field is SortField.CREATED_AT and not search:
        return ProjectPage(*project_store.page(user_id, limit=limit, offset=offset, descending=descending))
    wanted = search.casefold()
    sort_key = _SORT_KEYS[sort_field]
    matches = sorted(
        (
            membership
            for membership in project_store.all_of(user_id)
            if wanted in membership.project.name.casefold() or wanted in membership.project.description.casefold()
        ),
        key=lambda membership: (sort_key(membership.project), membership.project.id),
        reverse=descending,
    )
    return ProjectPage(matches[offset : offset + limit], len(matches))


def create(owner: Caller, *, name: str, description: str, idempotency_key: str | None) -> Project:
    """Creates a project, or finds the one that the same ``idempotency_key`` made before.

    Raises:
        InvalidInputError: The ``idempotency_key`` came with another name or description before.
    """
    moment = now()
    project = Project(
        id=ProjectId(new_id()),
        name=name,
        description=description,
        owner_id=owner.user_id,
        created_at=moment,
        updated_at=moment,
        idempotency_key=idempotency_key,
    )
    fingerprint = sha256(json.dumps([name, description]).encode()).hexdigest()
    answered, known = project_store.insert(project, owner, idempotency_key=idempotency_key, fingerprint=fingerprint)
    if known != fingerprint:
        raise InvalidInputError(
            "This Idempotency-Key came with another name or description before. Give a new key for a new project.",
            loc=("header", "Idempotency-Key"),
        )
    return answered


def update(user_id: UserId, project_id: ProjectId, *, name: str, description: str | None) -> Membership:
    """Renames a project; without a ``description``, that stays. What changes nothing leaves no trace.

    Raises:
        ProjectNotFoundError: The caller is no member of it.
        NotAllowedError: The caller's role is too low.
    """
    membership = get(user_id, project_id, Action.UPDATE)
    before = membership.project
    if name == before.name and description in {None, before.description}:
        return membership
    try:
        project = project_store.rename(project_id, name=name, description=description, updated_at=now())
    except ConditionFailedError:
        raise ProjectNotFoundError from None
    return Membership(project, membership.role)


def delete(user_id: UserId, project_id: ProjectId) -> None:
    """Deletes a project for everybody at once, and has what it leaves purged.

    Memberships end before the answer, as many as there is time for, since lists count them; the purge ends the rest.
    It is deleted whatever becomes of the purge's message: ``resume_stalled`` finds what has none.

    Raises:
        ProjectNotFoundError: The caller is no member of it.
        NotAllowedError: The caller is not its owner.
    """

    def attempt() -> Project:
        project = get(user_id, project_id, Action.DELETE).project
        present = member_store.page(project_id, limit=member_store.MEMBERS_PER_TRANSACTION, offset=0)
        moment = now()
        member_store.mark_deleted(project, present, moment, stalled_at=moment + sqs.MESSAGE_TIMEOUT)
        return project

    project = retry_on_conflict(attempt)
    with suppress(StorageUnavailableError):
        left = min(project.member_count, MAX_MEMBERS_REMOVED) - member_store.MEMBERS_PER_TRANSACTION
        while left > 0 and member_store.remove_batch(project):
            left -= member_store.MEMBERS_PER_TRANSACTION
    with suppress(StorageUnavailableError):
        sqs.send_purge(project_id)
