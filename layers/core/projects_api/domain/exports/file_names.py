"""File names of downloaded archives."""

import unicodedata

from projects_api.archive.export_paths import safe_path

#: Maximum size of a file name with its extension, in bytes of UTF-8. File systems allow 255. The rest is for endings
#: that browsers add, such as " (1)" or ".crdownload".
MAX_BYTES = 200

EXTENSION = ".zip"

#: Characters that separate folders, or that some clients misread in a Content-Disposition.
_MISREAD = '/\\"%;'


def archive_file_name(project_name: str) -> str:
    """Return the file name of a project's archive: the project's name, in a form that every file system accepts."""
    name = unicodedata.normalize("NFC", project_name)
    name = "".join("_" if c in _MISREAD or not c.isprintable() else c for c in name).strip(" .")
    name = safe_path(name.lstrip("-") or "project")  # a name that begins with a hyphen looks like an option
    while len(name.encode()) > MAX_BYTES - len(EXTENSION):
        name = _drop_last_character(name).rstrip(" .")
    return (name or "project") + EXTENSION


def _drop_last_character(name: str) -> str:
    """Return ``name`` without its last character and the combining marks of that character."""
    end = len(name) - 1
    while end > 0 and unicodedata.category(name[end]).startswith("M"):
        end -= 1
    return name[:end]
