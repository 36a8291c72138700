"""Projects: create, read, change and delete them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from projects_api.domain import announcements
from projects_api.domain.announcements import PROJECT_CREATED, PROJECT_DELETED, PROJECT_UPDATED, announce_project
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require_membership
from projects_api.entities.activity_entry import ActivityAction, ActivityObject, Actor, new_entry
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import now, parse
from projects_api.entities.errors import NotAllowedError, StorageUnavailableError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, UserId, new_id
from projects_api.entities.project import Caller, Membership, Project
from projects_api.entities.resource import ResourceType
from projects_api.entities.text import fold
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import member_store, project_store
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError, claim_name

#: Maximum number of memberships that DELETE removes before it responds, in about 30 transactions. The purge removes the
#: others.
MAX_MEMBERS_REMOVED = 1_000


class SortField(StrEnum):
    """The fields that a list of projects can be sorted by."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    NAME = "name"
    DATASET_COUNT = "dataset_count"
    MODEL_COUNT = "model_count"
    EXPERIMENT_COUNT = "experiment_count"


_SORT_KEYS: dict[SortField, Callable[[Project], object]] = {
    SortField.CREATED_AT: lambda project: project.created_at,
    SortField.UPDATED_AT: lambda project: project.updated_at,
    SortField.NAME: lambda project: fold(project.name),
    SortField.DATASET_COUNT: lambda project: project.counts[ResourceType.DATASET],
    SortField.MODEL_COUNT: lambda project: project.counts[ResourceType.MODEL],
    SortField.EXPERIMENT_COUNT: lambda project: project.counts[ResourceType.EXPERIMENT],
}


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """A page of a user's projects.

    Attributes:
        memberships: The projects on the page, each with the user's role.
        total: The number of matching projects on all pages.
    """

    memberships: list[Membership]
    total: int


def get(user_id: UserId, project_id: ProjectId, action: Action = Action.READ) -> Membership:
    """Return the project with the caller's role, if the role may do ``action``.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
    """
    return require_membership(project_store.get_membership(project_id, user_id)[0], action)


def list_page(
    user_id: UserId, *, limit: int, offset: int, search: str, sort_field: SortField, descending: bool
) -> ProjectPage:
    """Return a page of the projects that the user is a member of.

    The table sorts projects by creation time, so a page in that order reads only its own projects and those before it.
    Any other order, and any search, reads all of the user's projects.

    Args:
        user_id: The user.
        limit: Maximum number of projects to return.
        offset: Number of projects to skip.
        search: Text that the name or the description contains, trimmed and compared in NFC with full case folding.
            Empty for all projects.
        sort_field: Field to sort by. Projects with equal values are sorted by their id.
        descending: Whether to return the greatest value first.
    """
    if sort_field is SortField.CREATED_AT and not search.strip():
        return ProjectPage(*project_store.list_page(user_id, limit=limit, offset=offset, descending=descending))
    search = fold(search.strip())
    sort_key = _SORT_KEYS[sort_field]
    matches = sorted(
        (
            membership
            for membership in project_store.list_all(user_id)
            if search in fold(membership.project.name) or search in fold(membership.project.description)
        ),
        key=lambda membership: (sort_key(membership.project), membership.project.id),
        reverse=descending,
    )
    return ProjectPage(matches[offset : offset + limit], len(matches))


def create(owner: Caller, *, name: str, description: str, request: IdempotentRequest | None = None) -> Project:
    """Create a project.

    Args:
        owner: The caller, who becomes the owner.
        name: The project's name.
        description: The project's description.
        request: The request, if it has an Idempotency-Key. A repeat returns the project as it was created.

    Raises:
        InvalidInputError: An earlier request with the same Idempotency-Key had another body.
        NotAllowedError: The caller is deactivated.
    """
    moment = now()
    project = Project(
        id=ProjectId(new_id()),
        name=name,
        description=description,
        owner_id=owner.user_id,
        created_at=moment,
        updated_at=moment,
        idempotency_claim=claim_name(request) if request else None,
    )
    entry = new_entry(
        project.id,
        Actor(owner.user_id, owner.name),
        ActivityAction.PROJECT_CREATED,
        ActivityObject("project", project.id, name),
        after={"name": name, "description": description},
    )
    announcement = announce_project(PROJECT_CREATED, project.id, name=name, user_id=owner.user_id, occurred_at=moment)
    try:
        project_store.insert(project, owner, announcement, replace(entry, at=moment), request=request)
    except ConditionFailedError:
        raise NotAllowedError("Your user is deactivated. Ask an operator.") from None
    except RepeatedRequestError as repeat:
        created_at = parse(repeat.result["created_at"])
        return Project(
            id=ProjectId(repeat.result["project_id"]),
            name=repeat.result["name"],
            description=repeat.result["description"],
            owner_id=owner.user_id,
            created_at=created_at,
            updated_at=created_at,
        )
    announcements.send(announcement)
    return project


def update(user_id: UserId, project_id: ProjectId, *, name: str, description: str | None) -> Membership:
    """Change a project's name and, unless ``description`` is None, its description.

    A request that changes nothing writes nothing: ``updated_at`` and the revision stay as they are.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
    """

    def attempt() -> tuple[Membership, Announcement | None]:
        membership = get(user_id, project_id, Action.UPDATE)
        project = membership.project
        before = {"name": project.name, "description": project.description}
        after = {"name": name, "description": project.description if description is None else description}
        if before == after:
            return membership, None
        entry = new_entry(
            project_id,
            membership.actor,
            ActivityAction.PROJECT_UPDATED,
            ActivityObject("project", project_id, project.name),
            before=before,
            after=after,
        )
        announcement = announce_project(PROJECT_UPDATED, project_id, name=name, user_id=user_id, occurred_at=now())
        return replace(membership, project=project_store.rename(project, announcement, entry, **after)), announcement

    membership, announcement = retry_on_conflict(attempt)
    if announcement:
        announcements.send(announcement)
    return membership


def delete(user_id: UserId, project_id: ProjectId) -> None:
    """Delete a project for all its members immediately, and queue the purge of its content.

    Members still count towards the totals of project lists until their memberships are removed. This function therefore
    removes up to ``MAX_MEMBERS_REMOVED`` memberships, and the purge removes the others. The project stays deleted even
    if the purge cannot be queued: the recovery job (``resume_stalled``) queues it later.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller is not the owner.
    """

    def attempt() -> tuple[Project, Announcement]:
        project = get(user_id, project_id, Action.DELETE).project
        members = member_store.list_page(project_id, limit=member_store.MEMBERS_PER_TRANSACTION, offset=0)
        moment = now()
        announcement = announce_project(
            PROJECT_DELETED, project_id, name=project.name, user_id=user_id, occurred_at=moment
        )
        member_store.mark_deleted(project, members, announcement, moment, purge_due_at=moment + sqs.MESSAGE_TIMEOUT)
        return project, announcement

    project, announcement = retry_on_conflict(attempt)
    announcements.send(announcement)
    with suppress(StorageUnavailableError):
        remaining = min(project.member_count, MAX_MEMBERS_REMOVED) - member_store.MEMBERS_PER_TRANSACTION
        while remaining > 0 and member_store.remove_batch(project):
            remaining -= member_store.MEMBERS_PER_TRANSACTION
    with suppress(StorageUnavailableError):
        sqs.send_purge(project_id)
