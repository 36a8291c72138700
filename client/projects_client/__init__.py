"""Python client of the Projects API, with the ``projects`` command in the ``cli`` subpackage.

Example:
    >>> from projects_client import Client
    >>> project = Client().projects.get("Card fraud")
    >>> project.export("fraud.zip")
"""

from projects_client.client import Client
from projects_client.errors import (
    ConflictError,
    DamagedArchiveError,
    ExportFailedError,
    ForbiddenError,
    ImportFailedError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    ProjectsClientError,
    UnavailableError,
)
from projects_client.progress import Step
from projects_client.project import Project

__all__ = [
    "Client",
    "ConflictError",
    "DamagedArchiveError",
    "ExportFailedError",
    "ForbiddenError",
    "ImportFailedError",
    "InvalidInputError",
    "NotAuthenticatedError",
    "NotFoundError",
    "Project",
    "ProjectsClientError",
    "Step",
    "UnavailableError",
]
