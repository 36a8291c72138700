"""Saved profiles: URL and API key of each deployment, in a file that only the user can read."""

import json
import os
import secrets
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projects_client.errors import InvalidInputError, NotAuthenticatedError, ProjectsClientError

DEFAULT_PROFILE = "default"

_FOLDER = "projects-client"


@dataclass(frozen=True)
class Profile:
    """URL and API key of a deployment; ``repr`` does not show the key."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Profile(url={self.url!r})"


def get_config_file() -> Path:
    """Return the file of the profiles in the platform's folder for settings.

    That is ``$XDG_CONFIG_HOME`` or ``~/.config`` on Linux (XDG Base Directory Specification), ``~/Library/Application
    Support`` on macOS, and ``%APPDATA%`` on Windows.
    """
    return _get_folder("XDG_CONFIG_HOME", ".config", "Application Support", "APPDATA") / _FOLDER / "profiles.json"


def get_cache_folder() -> Path:
    """Return the client's folder for files that can be deleted at any time."""
    return _get_folder("XDG_CACHE_HOME", ".cache", "Caches", "LOCALAPPDATA") / _FOLDER


def load_profile(name: str) -> Profile | None:
    """Return a saved profile, or None.

    Raises:
        NotAuthenticatedError: Other users can read the file.
        InvalidInputError: The file is not valid.
    """
    values = _read_profiles().get(name)
    return Profile(str(values.get("url", "")), str(values.get("api_key", ""))) if isinstance(values, dict) else None


def list_profiles() -> list[str]:
    """Return the names of the saved profiles."""
    return sorted(_read_profiles())


def save_profile(name: str, profile: Profile) -> Path:
    """Save a profile, and return the file."""
    profiles = _read_profiles() | {name: {"url": profile.url, "api_key": profile.key}}
    return _write_profiles(profiles)


def remove_profile(name: str) -> bool:
    """Remove a profile, and return whether there was one."""
    profiles = _read_profiles()
    if profiles.pop(name, None) is None:
        return False
    _write_profiles(profiles)
    return True


def _get_folder(variable: str, unix: str, mac: str, windows_variable: str) -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get(windows_variable) or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac
    configured = os.environ.get(variable, "")
    return Path(configured) if configured.startswith("/") else Path.home() / unix


def _read_profiles() -> dict[str, Any]:
    file = get_config_file()
    try:
        with file.open(encoding="utf-8") as content:
            mode = os.fstat(content.fileno()).st_mode
            text = content.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ProjectsClientError(f"{file} can't be read: {error.strerror}.") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise NotAuthenticatedError(
            f"Other users can read {file}, which contains API keys. Run `chmod 600 '{file}'`. "
            "If somebody else may have read it, ask an operator for a new key."
        )
    try:
        profiles = json.loads(text)["profiles"]
        return dict(profiles)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidInputError(
            f"{file} is not a valid file of profiles. Remove it, and run `projects login`."
        ) from None


def _write_profiles(profiles: dict[str, Any]) -> Path:
    """Replace the file in one step, so that no reader and no crash leaves half of it."""
    file = get_config_file()
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.parent.mkdir(parents=True, exist_ok=True)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.parent.chmod(0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as content:
                json.dump({"profiles": profiles}, content, indent=2)
                content.write("\n")
                content.flush()
                os.fsync(content.fileno())
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ProjectsClientError(f"{file} can't be written: {error.strerror}.") from None
    return file
