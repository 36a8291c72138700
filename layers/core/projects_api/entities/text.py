"""Text: the forms in which names are stored and searches are compared."""

import re
import unicodedata

#: Characters without a glyph: the categories of separators, controls and formats, and the default-ignorable characters
#: of other categories (Unicode Standard Annex 44, Default_Ignorable_Code_Point), with the blank Braille pattern, the
#: filler of the Khitan script and the null note head.
_INVISIBLE_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cn"})
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)

#: Composition turns at most four characters into one, so a text of more than four times the maximum is too long.
_MAX_COMPOSED = 4


def to_nfc(text: str, max_length: int) -> str:
    """Return ``text`` in NFC.

    A text that is too long in any case is returned unchanged, because the time of normalization can grow with the
    square of its length.

    Args:
        text: The text.
        max_length: The maximum length of the result, which the caller checks, in characters.
    """
    return unicodedata.normalize("NFC", text) if len(text) <= _MAX_COMPOSED * max_length else text


def is_blank(text: str) -> bool:
    """Return whether ``text`` shows nothing: it is empty, or has only spaces and invisible characters."""
    return all(
        unicodedata.category(character) in _INVISIBLE_CATEGORIES or _INVISIBLE.match(character) for character in text
    )


def fold(text: str) -> str:
    """Return ``text`` as searches and sort orders compare it: in NFC with full case folding."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
