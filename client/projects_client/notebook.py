"""HTML for notebooks: tables in the colours of the notebook, with every text escaped."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

#: The same characters that the command line replaces on a terminal: they show the text around them in another order.
_UNSAFE_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# no colours of its own: the text and the lines follow a light or a dark theme
_TABLE = "border-collapse: collapse; color: inherit; background: transparent; font-size: 0.9em; margin: 0.3em 0"
_CELL = (
    "text-align: left; vertical-align: top; padding: 0.25em 0.9em 0.25em 0; color: inherit; background: transparent; "
    "border: 0; border-bottom: 1px solid rgba(128, 128, 128, 0.35); white-space: pre-wrap; max-width: 40em"
)

#: JupyterLab and others would typeset the text between two dollar signs as a formula.
_DIV = '<div class="tex2jax_ignore mathjax_ignore">'

#: Length of a word that may be broken anywhere; shorter ones, such as roles and types, stay whole.
_LONG_WORD = 40


def render_table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, note: str = "") -> str:
    """Return a table with headings, and a note under it."""
    head = "".join(f'<th style="{_CELL}; font-weight: 600">{_escape(heading)}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(map(_render_cell, row))}</tr>" for row in rows)
    caption = f'<div style="color: inherit; opacity: 0.75; font-size: 0.85em">{_escape(note)}</div>' if note else ""
    return f'{_DIV}<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{caption}</div>'


def render_fields(values: Mapping[str, Any]) -> str:
    """Return a table with one row for each field."""
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL}; font-weight: 600">{_escape(name)}</th>{_render_cell(value)}</tr>'
        for name, value in values.items()
    )
    return f'{_DIV}<table style="{_TABLE}"><tbody>{rows}</tbody></table></div>'


def list_fields(record: Any) -> dict[str, Any]:
    """Return the fields of a typed object, so neither its JSON nor a signed URL."""
    return {each.name: getattr(record, each.name) for each in fields(record)}


def format_value(value: Any) -> str:
    """Return a value as text: times to the minute, and fields as ``name=value``."""
    if value is None:
        return ""
    if is_dataclass(value) and not isinstance(value, type):
        return format_value(list_fields(value))
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M UTC")
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={format_value(each)}" for name, each in value.items() if each is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value))
    return str(value)


def _render_cell(value: Any) -> str:
    text = format_value(value)
    style = _CELL
    if isinstance(value, datetime):
        style += "; white-space: nowrap"
    elif any(len(word) > _LONG_WORD for word in text.split()):
        style += "; overflow-wrap: anywhere"
    return f'<td style="{style}">{_escape(text)}</td>'


def _escape(text: str) -> str:
    return html.escape(_UNSAFE_CHARACTERS.sub("\ufffd", text))
