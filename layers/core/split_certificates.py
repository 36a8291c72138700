"""Writes each certificate authority of botocore's bundle to a file of its own. The Makefile runs it.

Usage: ``python split_certificates.py LAYER``

Parsing all authorities takes about 40 ms of a cold start. From a folder whose files are named by the hash of the
authority's name, OpenSSL reads only the one that signed the certificate of an endpoint
(https://docs.openssl.org/master/man3/SSL_CTX_load_verify_locations/). The same authorities are trusted.
"""

import hashlib
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?-----END CERTIFICATE-----\n", re.DOTALL)

# Tags of DER (ITU-T X.690).
UTF8, SEQUENCE, SET, VERSION = 0x0C, 0x30, 0x31, 0xA0

#: The encodings of the text types that OpenSSL compares in one form, by tag (``ASN1_MASK_CANON`` in its x_name.c).
ENCODINGS = {
    UTF8: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip

#: The largest size that DER writes in one byte. For a larger one, the byte has this bit and the number of its bytes.
MAX_SHORT_SIZE, LONG_SIZE = 0x7F, 0x80


def split(bundle: Path, folder: Path) -> None:
    """Write each certificate of ``bundle`` to ``folder``, with the names that `openssl rehash` gives."""
    folder.mkdir()
    for match in CERTIFICATE.finditer(bundle.read_text()):
        name = hash_subject(ssl.PEM_cert_to_DER_cert(match[0]))
        number = len(list(folder.glob(f"{name}.*")))  # several authorities may have one name
        (folder / f"{name}.{number}").write_text(match[0])


def hash_subject(certificate: bytes) -> str:
    """Return the hash of a certificate's subject as `openssl x509 -subject_hash` prints it.

    Args:
        certificate: The certificate in DER (RFC 5280, section 4.1).
    """
    signed_part = next(_values(next(_values(certificate))[1]))[1]
    fields = [content for tag, content in _values(signed_part) if tag != VERSION]
    _serial_number, _algorithm, _issuer, _validity, subject, *_ = fields
    canonical = b"".join(_encode(SET, _canonicalize(attributes)) for _, attributes in _values(subject))
    return hashlib.sha1(canonical, usedforsecurity=False).digest()[3::-1].hex()


def _canonicalize(attributes: bytes) -> bytes:
    """Return the attributes of a name with texts in UTF-8, in lower case and with single spaces."""
    result = b""
    for _, attribute in _values(attributes):
        (type_tag, type_), (tag, value) = _values(attribute)
        if encoding := ENCODINGS.get(tag):
            text = " ".join(re.findall(r"[^ \t\n\v\f\r]+", value.decode(encoding))).encode()
            tag, value = UTF8, text.lower()  # bytes: OpenSSL lowers ASCII letters only
        result += _encode(SEQUENCE, _encode(type_tag, type_) + _encode(tag, value))
    return result


def _values(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each value of a sequence or set in DER."""
    while content:
        tag, size, start = content[0], content[1], 2
        if size > MAX_SHORT_SIZE:
            start += size ^ LONG_SIZE
            size = int.from_bytes(content[2:start])
        yield tag, content[start : start + size]
        content = content[start + size :]


def _encode(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size <= MAX_SHORT_SIZE:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, LONG_SIZE | len(length))) + length + content


if __name__ == "__main__":
    botocore = Path(sys.argv[1], "botocore")
    split(botocore / "cacert.pem", botocore / "cacert")
