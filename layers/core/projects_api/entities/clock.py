"""Time, always aware and in UTC."""

from datetime import UTC, datetime


def now() -> datetime:
    """The time, to the millisecond: what a client reads is then all that is sorted by."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def in_utc(moment: datetime) -> datetime:
    """``moment`` in UTC, to validate with.

    Raises:
        ValueError: It lies there before the year 1 or after 9999.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it has no time in UTC between the years 1 and 9999") from None


def rfc3339(moment: datetime) -> str:
    """``moment`` as RFC 3339 in UTC, with a fraction of a second only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def sortable(moment: datetime) -> str:
    """``moment`` as RFC 3339 with a fixed width, so that texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """The time that ``rfc3339`` or ``sortable`` wrote."""
    return datetime.fromisoformat(text)
