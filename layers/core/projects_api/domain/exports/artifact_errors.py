"""Errors of artifacts that cannot be exported, in words that tell the client what to do."""

from collections.abc import Sequence

from projects_api.entities.content import Pin
from projects_api.storage.aws_errors import ObjectMissingError, ObjectRefusedError
from projects_api.storage.s3 import artifact_store

#: Most artifacts that one error names.
MAX_NAMES = 10

#: S3's codes for an object in an archive (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
ARCHIVED_CODES = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})

#: S3's codes for an object that is too large for a copy.
TOO_LARGE_CODES = frozenset({"EntityTooLarge"})


class ArtifactError(Exception):
    """An artifact cannot be exported in its current state. Clients see the message, which contains the key."""


def missing_error(keys: Sequence[str]) -> ArtifactError:
    """Return the error for artifacts that are not in the bucket."""
    subject = _name(keys)
    if len(keys) == 1:
        return ArtifactError(
            f"The {subject} is not in the bucket. Upload it or delete its resource, then start a new export."
        )
    return ArtifactError(
        f"The {subject} are not in the bucket. Upload them or delete their resources, then start a new export."
    )


def archived_error(keys: Sequence[str]) -> ArtifactError:
    """Return the error for artifacts in a storage class or tier that S3 reads only after a restoration."""
    verb, pronoun = ("is", "it") if len(keys) == 1 else ("are", "them")
    return ArtifactError(
        f"The {_name(keys)} {verb} archived in S3. Restore {pronoun} (S3 RestoreObject) or move {pronoun} to another"
        " storage class, then start a new export."
    )


def changed_error(key: str) -> ArtifactError:
    """Return the error for an artifact that is no longer as it was when the export started."""
    return ArtifactError(f"The artifact {key} was changed or deleted during the export. Start a new export.")


def refusal_error(key: str, refusal: ObjectRefusedError) -> ArtifactError:
    """Return the error for an artifact that S3 refuses to read."""
    code, message = refusal.code, refusal.message.lower()
    if code in ARCHIVED_CODES:
        return archived_error([key])
    if code.startswith("KMS.") or "kms" in message:
        problem, remedy = (
            f"is encrypted with a KMS key that S3 could not use ({code})",
            "Enable the key and allow this service to decrypt with it",
        )
    elif code == "InvalidRequest" and "encrypt" in message:
        problem, remedy = (
            "is encrypted with a key that only its uploader has (SSE-C)",
            "Upload it with an encryption whose key S3 keeps",
        )
    elif code in TOO_LARGE_CODES:
        problem, remedy = "is too large for S3 to copy", "Split it"
    else:
        problem, remedy = f"cannot be read: S3 refuses access to it ({code})", "Allow this service to read it"
    return ArtifactError(f"The artifact {key} {problem}. {remedy}, then start a new export.")


def find_cause(pin: Pin, refusal: ObjectRefusedError) -> ArtifactError | None:
    """Return the error of an artifact that S3 refused to copy or describe, or None if S3 lets it be read.

    A refused copy can be the fault of the target, and HeadObject gives no reason. Reading a byte tells.
    """
    try:
        artifact_store.read(pin, start=0, size=min(1, pin.size))
    except ObjectMissingError:
        return changed_error(pin.key)
    except ObjectRefusedError as reason:
        return refusal_error(pin.key, reason)
    return refusal_error(pin.key, refusal) if refusal.code in TOO_LARGE_CODES else None


def _name(keys: Sequence[str]) -> str:
    """Return ``artifact K`` or ``artifacts K, L and 3 more``."""
    names, rest = list(keys[:MAX_NAMES]), len(keys) - MAX_NAMES
    if rest > 0:
        names.append(f"{rest:,} more")
    return f"artifact {names[0]}" if len(names) == 1 else f"artifacts {', '.join(names[:-1])} and {names[-1]}"
