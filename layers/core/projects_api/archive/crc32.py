"""Combination of CRC-32 checksums.

Python 3.15 adds ``zlib.crc32_combine``, which replaces this module (https://github.com/python/cpython/pull/134650).
"""

from functools import cache

#: Polynomial of the CRC-32 in reversed bit order (ISO 3309; ZIP APPNOTE, section 4.4.7).
POLYNOMIAL = 0xEDB88320


def combine_crc32(first: int, second: int, second_size: int) -> int:
    """Return the CRC-32 of two consecutive pieces of data.

    In GF(2) modulo the polynomial, appending n bytes multiplies the first checksum by x to the power of 8n and adds the
    second one.

    Args:
        first: The CRC-32 of the first piece.
        second: The CRC-32 of the second piece.
        second_size: The size of the second piece in bytes.
    """
    bit = 0
    while second_size >> bit:
        if second_size >> bit & 1:
            lowest, second_byte, third_byte, highest = _multiplication_tables(bit)
            first = (
                lowest[first & 0xFF]
                ^ second_byte[first >> 8 & 0xFF]
                ^ third_byte[first >> 16 & 0xFF]
                ^ highest[first >> 24]
            )
        bit += 1
    return first ^ second


@cache
def _multiplication_tables(exponent: int) -> list[list[int]]:
    """Return the products of each value of each byte of a checksum, the lowest byte first, with one power of x.

    Args:
        exponent: The power is that of ``2 ** exponent`` appended bytes.
    """
    power = _power_of_x(3 + exponent)
    tables = []
    for byte in range(4):
        table = [0]
        for bit in range(8):
            product = _multiply(1 << 8 * byte + bit, power)
            table += [other ^ product for other in table]
        tables.append(table)
    return tables


@cache
def _power_of_x(exponent: int) -> int:
    """Return x to the power of ``2 ** exponent``, modulo the polynomial."""
    if exponent == 0:
        return 1 << 30
    root = _power_of_x(exponent - 1)
    return _multiply(root, root)


def _multiply(a: int, b: int) -> int:
    """Return the product of two polynomials whose highest power is the lowest bit."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (POLYNOMIAL if b & 1 else 0)
    return product
