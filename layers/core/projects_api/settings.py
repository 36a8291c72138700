"""The environment variables of the functions. template.yaml sets them."""

import os


def _variable(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise RuntimeError(
            f"The environment variable {name} is not set. Set it for this function in template.yaml."
        ) from None


def table() -> str:
    return _variable("TABLE")


def artifacts_bucket() -> str:
    return _variable("ARTIFACTS_BUCKET")


def exports_bucket() -> str:
    return _variable("EXPORTS_BUCKET")


def bus() -> str:
    return _variable("BUS")


def export_queue_url() -> str:
    return _variable("EXPORT_QUEUE_URL")


def import_queue_url() -> str:
    return _variable("IMPORT_QUEUE_URL")


def purge_queue_url() -> str:
    return _variable("PURGE_QUEUE_URL")


def events_dead_letters_url() -> str:
    return _variable("EVENTS_DEAD_LETTERS_URL")


def activity_retention_days() -> int:
    """Return the lifetime of an entry of the activity in days."""
    return int(_variable("ACTIVITY_RETENTION_DAYS"))


def max_upload_bytes() -> int:
    """Return the maximum size of an uploaded file in bytes."""
    return int(_variable("MAX_UPLOAD_BYTES"))


def max_open_uploads() -> int:
    """Return the maximum number of unfinished uploads of one user."""
    return int(_variable("MAX_OPEN_UPLOADS"))


def archive_retention_days() -> int:
    """Return the lifetime of an archive in days."""
    return int(_variable("ARCHIVE_RETENTION_DAYS"))
