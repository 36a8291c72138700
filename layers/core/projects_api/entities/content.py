"""The content of a project at one moment, and the pins of its artifacts: what a snapshot consists of."""

from collections.abc import Sequence
from dataclasses import dataclass

from projects_api.entities.project import Member, Project
from projects_api.entities.resource import Resource


@dataclass(frozen=True, slots=True)
class Pin:
    """A reference to one state of an artifact in S3. Reading or copying the artifact fails once its ETag has changed.

    Attributes:
        key: The key of the object in the artifacts bucket.
        etag: The ETag of the object, with its quotation marks.
        size: The size of the object in bytes.
        crc32: The CRC-32 of the object, or None if it is not known.
    """

    key: str
    etag: str
    size: int
    crc32: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The data of a project at one moment: the project itself, all of its members and all of its resources.

    The bytes of artifacts are not part of the content. A ``Pin`` identifies them.
    """

    project: Project
    members: Sequence[Member]
    resources: Sequence[Resource]
