"""Errors of an archive that is imported."""

from collections.abc import Sequence
from dataclasses import dataclass, field


class ArchiveError(Exception):
    """The archive is invalid.

    Attributes:
        errors: The first errors, as sentences.
        count: The number of all errors.
    """

    def __init__(self, errors: Sequence[str], count: int) -> None:
        super().__init__(errors[0] if errors else "")
        self.errors = list(errors)
        self.count = count


@dataclass
class ErrorList:
    """A list of errors that keeps the first ones and counts the others.

    Attributes:
        errors: The first ``MAX_ERRORS`` errors.
        count: The number of all errors.
    """

    #: Number of errors that are kept.
    MAX_ERRORS = 100

    errors: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, error: str) -> None:
        """Add an error."""
        self.count += 1
        if len(self.errors) < self.MAX_ERRORS:
            self.errors.append(error)

    def raise_if_any(self) -> None:
        """Raise an error if the list is not empty.

        Raises:
            ArchiveError: The list has errors.
        """
        if self.count:
            raise ArchiveError(self.errors, self.count)
