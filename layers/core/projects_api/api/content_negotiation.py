"""Content negotiation by quality values (RFC 9110, sections 12.4.2, 12.5.1 and 12.5.3)."""

import re
from collections.abc import Iterator

#: One element of a list, and one of its parameters. Commas and semicolons in quoted strings separate nothing.
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+')

#: A quality value: 0 to 1 with at most three decimals (section 12.4.2).
_QUALITY = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")


def media_quality(accept: str, *media_types: str) -> float:
    """Return the highest quality that an ``Accept`` header gives to one of ``media_types``, or 0 if it accepts none.

    Of several ranges that match a type, the most specific one counts. Parameters of a range other than ``q`` are
    ignored. A header without any valid range, such as an empty one, accepts everything.

    Args:
        accept: The value of the header.
        *media_types: The media types in lower case, such as ``application/json``.
    """
    ranges = list(_parse(accept))
    return max(_media_quality(ranges, media_type) for media_type in media_types) if ranges else 1.0


def _media_quality(ranges: list[tuple[str, float]], media_type: str) -> float:
    for candidate in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if qualities := [quality for name, quality in ranges if name == candidate]:
            return max(qualities)
    return 0.0


def prefers_gzip(accept_encoding: str) -> bool:
    """Return whether a client accepts gzip and does not prefer the unencoded form.

    Args:
        accept_encoding: The value of the ``Accept-Encoding`` header. Empty if the client sent none.
    """
    qualities = dict(_parse(accept_encoding))
    any_coding = qualities.get("*", 0.0)
    gzip = max((qualities[name] for name in ("gzip", "x-gzip") if name in qualities), default=any_coding)
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def _parse(header: str) -> Iterator[tuple[str, float]]:
    """Yield each element of a list with its quality. Elements without a name or with an invalid quality are skipped."""
    for element in _ELEMENT.findall(header):
        name, *parameters = (part.strip() for part in _PARAMETER.findall(element))
        quality = "1"
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                quality = value.strip()
        if name and _QUALITY.fullmatch(quality):
            yield name.lower(), float(quality)
