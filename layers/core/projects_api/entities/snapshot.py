"""Artifacts: what sibling services keep in the artifacts bucket. They are only ever read."""

from collections.abc import Sequence
from dataclasses import dataclass

from projects_api.entities.project import Member, Project
from projects_api.entities.resource import Resource


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of an artifact's bytes; to read or copy any other fails.

    Attributes:
        key: The object's.
        etag: Which content.
        size: In bytes.
    """

    key: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that an export of a project is made of, as it was at one moment."""

    project: Project
    members: Sequence[Member]
    resources: Sequence[Resource]
