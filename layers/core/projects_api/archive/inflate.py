"""Decompression of deflated entries, bounded in memory and in the size of the result."""

import zlib
from collections.abc import Iterable, Iterator

#: Largest piece that ``inflate`` yields, in bytes.
MAX_PIECE = 1 << 20

#: The error of a file with another CRC-32 than stated.
WRONG_CHECKSUM = "its checksum is wrong"

_TOO_LONG = "its compressed data continues after the end of the file"


class InflateError(Exception):
    """The compressed data is invalid, or is not as large as it should be, or has another checksum."""


def inflate(chunks: Iterable[bytes], *, size: int, crc32: int) -> Iterator[bytes]:
    """Yield the decompressed bytes of a deflated entry (RFC 1951) in pieces of at most ``MAX_PIECE`` bytes.

    The function never yields more than ``size`` bytes. It raises the error for a wrong checksum after the last piece.

    Args:
        chunks: The compressed bytes.
        size: The expected size of the result in bytes.
        crc32: The expected CRC-32 of the result.

    Raises:
        InflateError: The data is not as expected.
    """
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    remaining, checksum = size, 0
    for chunk in chunks:
        if chunk and decompressor.eof:
            raise InflateError(_TOO_LONG)
        pending, more = chunk, True
        while more:
            limit = min(MAX_PIECE, remaining + 1)
            try:
                piece = decompressor.decompress(pending, limit)
            except zlib.error:
                raise InflateError("its compressed data is invalid") from None
            pending = decompressor.unconsumed_tail
            more = not decompressor.eof and (bool(pending) or len(piece) == limit)
            if len(piece) > remaining:
                raise InflateError(f"it is larger than the {size} bytes that the directory states")
            remaining -= len(piece)
            checksum = zlib.crc32(piece, checksum)
            if piece:
                yield piece
        if decompressor.unused_data:
            raise InflateError(_TOO_LONG)
    if not decompressor.eof or remaining:
        raise InflateError(f"it is smaller than the {size} bytes that the directory states")
    if checksum != crc32:
        raise InflateError(WRONG_CHECKSUM)
