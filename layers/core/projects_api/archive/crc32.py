"""Combination of CRC-32 checksums.

Python 3.15 adds ``zlib.crc32_combine``, which replaces this module (https://github.com/python/cpython/pull/134650).
"""

#: Polynomial of the CRC-32 in reversed bit order (ISO 3309; ZIP APPNOTE, section 4.4.7).
POLYNOMIAL = 0xEDB88320

#: Cached powers of x modulo the polynomial: item n is x to the power of 2**n.
_POWERS = [1 << 30]


def combine_crc32(first: int, second: int, second_size: int) -> int:
    """Return the CRC-32 of two consecutive pieces of data.

    In GF(2) modulo the polynomial, appending n bytes multiplies the first checksum by x to the power of 8n and adds the
    second one.

    Args:
        first: The CRC-32 of the first piece.
        second: The CRC-32 of the second piece.
        second_size: The size of the second piece in bytes.
    """
    return _multiply(first, _power_of_x(8 * second_size)) ^ second


def _power_of_x(exponent: int) -> int:
    """Return x to the power of ``exponent``, modulo the polynomial, by repeated squaring."""
    result, bit = 1 << 31, 0
    while exponent >> bit:
        while len(_POWERS) <= bit:
            _POWERS.append(_multiply(_POWERS[-1], _POWERS[-1]))
        if exponent >> bit & 1:
            result = _multiply(result, _POWERS[bit])
        bit += 1
    return result


def _multiply(a: int, b: int) -> int:
    """Return the product of two polynomials whose highest power is the lowest bit."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (POLYNOMIAL if b & 1 else 0)
    return product
