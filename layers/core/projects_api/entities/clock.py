"""Timestamps. Every ``datetime`` in the code is timezone-aware and in UTC."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time in microseconds, the precision in which times are stored and ordered."""
    return datetime.now(UTC)


def in_utc(moment: datetime) -> datetime:
    """Return ``moment`` converted to UTC. Use this function as a pydantic validator.

    Raises:
        ValueError: In UTC, ``moment`` lies before the year 1 or after the year 9999.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC, the time must lie between the years 1 and 9999") from None


def rfc3339(moment: datetime) -> str:
    """Format ``moment`` as RFC 3339 in UTC to the second, the one form that clients see: ``2026-02-10T09:00:00Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def sortable(moment: datetime) -> str:
    """Format ``moment`` as RFC 3339 in UTC with a fixed width, which sorts alphabetically by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_sortable(text: str) -> datetime:
    """Parse a timestamp that ``sortable`` formatted.

    Raises:
        ValueError: The text has another form.
        OverflowError: The text has another form, and the time in UTC is before the year 1 or after the year 9999.
    """
    moment = parse(text)
    if sortable(moment) != text:
        raise ValueError(text)
    return moment


def parse(text: str) -> datetime:
    """Parse a timestamp that ``rfc3339`` or ``sortable`` formatted."""
    return datetime.fromisoformat(text)
