"""The lifetime and the headers of signed URLs, of archives and of artifacts."""

from datetime import timedelta
from urllib.parse import quote

#: Lifetime of a signed URL. A URL never outlives the function's temporary credentials that sign it.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
URL_LIFETIME = timedelta(minutes=15)


def content_disposition(file_name: str) -> str:
    """Return a Content-Disposition that saves a download as ``file_name`` (RFC 6266).

    The value has the name twice: in ASCII for old clients, with other characters replaced, and in UTF-8 (appendix D).
    """
    ascii_name = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in file_name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(file_name, safe='')}"
