"""Python client of the Projects API, with the ``projects`` command in the ``cli`` subpackage.

Example:
    >>> from projects_client import Client
    >>> project = Client().projects.get("Card fraud")
    >>> project.export("fraud.zip")
"""

from projects_client.api import VERSION
from projects_client.client import Client
from projects_client.download import Downloaded
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
from projects_client.file_download import DownloadedFile
from projects_client.listing import Listing
from projects_client.progress import Step
from projects_client.progress_bar import ProgressBar
from projects_client.project import Project
from projects_client.records import ActivityEntry, Artifact, Export, Import, Me, Member, Resource, TimelineEvent

__version__ = VERSION

__all__ = [
    "ActivityEntry",
    "Artifact",
    "Client",
    "ConflictError",
    "DamagedArchiveError",
    "Downloaded",
    "DownloadedFile",
    "Export",
    "ExportFailedError",
    "ForbiddenError",
    "Import",
    "ImportFailedError",
    "InvalidInputError",
    "Listing",
    "Me",
    "Member",
    "NotAuthenticatedError",
    "NotFoundError",
    "ProgressBar",
    "Project",
    "ProjectsClientError",
    "Resource",
    "Step",
    "TimelineEvent",
    "UnavailableError",
]
