"""Paths of the user's files."""

import os

from projects_client.errors import InvalidInputError


def expand_path(path: str | os.PathLike[str]) -> str:
    """Return a path with the user's home in the place of ``~``, as pandas reads paths.

    Raises:
        InvalidInputError: ``path`` is no path, but for example a DataFrame.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidInputError(f"The path of a file is needed, not an object of type {type(path).__name__}.")
    return os.path.expanduser(path)  # noqa: PTH111 - keeps a slash at the end, which means a folder
