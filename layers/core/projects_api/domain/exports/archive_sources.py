"""The objects that an archive is assembled from: the artifacts, and the previous archive."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from projects_api.archive.parts import PreviousRange, Source
from projects_api.domain.exports.artifact_errors import changed_error, find_cause
from projects_api.domain.exports.previous_archive import PreviousArchive, PreviousArchiveLostError
from projects_api.entities.content import Pin
from projects_api.storage.aws_errors import ObjectMissingError, ObjectRefusedError
from projects_api.storage.s3 import archive_store, artifact_store
from projects_api.storage.s3.multipart_upload import ExportsObject, MultipartUpload


class ArchiveSources:
    """The artifacts and the previous archive, to read and to copy.

    Args:
        pins: The pins of the artifacts, by the index of their entry.
        previous: The previous archive, if there is one.
    """

    def __init__(self, pins: Mapping[int, Pin], previous: PreviousArchive | None) -> None:
        self._pins = pins
        self._previous = previous

    def read(self, source: Source) -> bytes:
        """Return the bytes of a source.

        Raises:
            ArtifactError: The artifact was deleted, has changed, or cannot be read.
            PreviousArchiveLostError: The previous archive was deleted or has changed.
        """
        with self.translate_errors(source):
            if isinstance(source, PreviousRange):
                archive = self._archive
                data = archive_store.read_range(archive.key, archive.etag, start=source.start, size=source.size)
            else:
                data = artifact_store.read(self._pins[source.index], start=source.start, size=source.size)
            if len(data) != source.size:
                raise ObjectMissingError
        return data

    def copy(self, upload: MultipartUpload, part_number: int, source: Source) -> int | None:
        """Have S3 copy a source into a part, and return the CRC-32 if S3 does.

        Raises:
            ArtifactError: The artifact was deleted, has changed, or cannot be read.
            PreviousArchiveLostError: The previous archive was deleted or has changed.
        """
        with self.translate_errors(source):
            if isinstance(source, PreviousRange):
                return upload.copy_from_exports(part_number, self._archive, source.start, source.size)
            return upload.copy_artifact(part_number, self._pins[source.index], start=source.start, size=source.size)

    @property
    def _archive(self) -> ExportsObject:
        if self._previous is None:
            raise PreviousArchiveLostError
        return self._previous.source

    @contextmanager
    def translate_errors(self, source: Source) -> Iterator[None]:
        """Translate the errors of S3 for a source.

        Raises:
            ArtifactError: The artifact is no longer what it was, or S3 refuses access to it.
            PreviousArchiveLostError: The same is true of the previous archive.
        """
        try:
            yield
        except ObjectMissingError:
            if isinstance(source, PreviousRange):
                raise PreviousArchiveLostError from None
            raise changed_error(self._pins[source.index].key) from None
        except ObjectRefusedError as refusal:
            if isinstance(source, PreviousRange):
                raise PreviousArchiveLostError from None
            cause = find_cause(self._pins[source.index], refusal)
            if cause is None:  # S3 refuses the target, which is not the client's fault
                raise
            raise cause from None
