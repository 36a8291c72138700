"""The CRC-32 of a whole, from those of its pieces."""

#: CRC-32's polynomial, its bits reversed (ISO 3309; APPNOTE.TXT, section 4.4.7).
POLYNOMIAL = 0xEDB88320

#: x to the power of 2**n, modulo the polynomial, as they are needed.
_POWERS = [1 << 30]


def combine_crc32(first: int, second: int, second_size: int) -> int:
    """The CRC-32 of two pieces in a row, from each one's and the second's size in bytes.

    Appending n bytes multiplies a CRC by x to the power of 8n in GF(2) modulo the polynomial, and adds theirs.
    """
    return _multiplied(first, _power_of_x(8 * second_size)) ^ second


def _power_of_x(exponent: int) -> int:
    """x to the power of ``exponent``, modulo the polynomial, by squaring."""
    result, bit = 1 << 31, 0
    while exponent >> bit:
        while len(_POWERS) <= bit:
            _POWERS.append(_multiplied(_POWERS[-1], _POWERS[-1]))
        if exponent >> bit & 1:
            result = _multiplied(result, _POWERS[bit])
        bit += 1
    return result


def _multiplied(a: int, b: int) -> int:
    """The product of two polynomials whose highest power is the lowest bit."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (POLYNOMIAL if b & 1 else 0)
    return product
