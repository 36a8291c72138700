"""Ids. Each kind has its own type, which lets mypy find an id of the wrong kind."""

import os
import time
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", str)
ProjectId = NewType("ProjectId", str)
ExportId = NewType("ExportId", str)
ImportId = NewType("ImportId", str)
ResourceId = NewType("ResourceId", str)
AnnouncementId = NewType("AnnouncementId", str)
UploadId = NewType("UploadId", str)


def new_id() -> str:
    """Generate a UUID of version 7, which sorts by its creation time in milliseconds (RFC 9562, section 5.7).

    On Python 3.14, ``uuid.uuid7`` replaces this function.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
