"""JSON of the values that callers give, such as the fields of a resource, which may come from numpy and pandas."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from projects_client.errors import InvalidInputError


def to_json(value: Any, name: str = "fields") -> Any:
    """Return a value as ``json`` takes it: scalars and arrays of numpy and pandas as numbers and lists, times as text.

    Args:
        value: The value.
        name: Name of the value, for the error.

    Raises:
        InvalidInputError: JSON has no such value, for example NaN.
    """
    if isinstance(value, Mapping):
        return {str(key): to_json(each, f"{name}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each, f"{name}[{number}]") for number, each in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"{name} is {value}, which JSON does not have. Leave it out, or use None.")
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "tolist"):  # numpy and pandas
        return to_json(value.tolist(), name)
    if isinstance(value, date) and str(value) != "NaT":
        return value.isoformat()
    raise InvalidInputError(
        f"{name} is of type {type(value).__name__}, which JSON does not have. Use text, a number, a list or a dict."
    )
