"""Caches and shortcuts for moto, which computes the same for every call. They save a fifth of the time of a call."""

import functools
from collections.abc import Callable, Iterable
from typing import Any


def patch_speed() -> None:
    """Make moto faster in this process."""
    patch_lookups()
    patch_dynamodb_values()


def patch_lookups() -> None:
    """Make moto compute the names of a handler's methods, and those under which it looks up a value, once."""
    from moto.core import responses  # noqa: PLC0415 - only a process that serves AWS needs it
    from moto.core.serialize import (  # noqa: PLC0415 - as above
        AttributePicker,
        AttributePickerContext,
        XFormedAttributePicker,
    )

    responses.method_names_from_class = functools.cache(responses.method_names_from_class)
    find_keys: Callable[[AttributePicker, AttributePickerContext], Iterable[str]]
    find_keys = XFormedAttributePicker.get_possible_keys

    def find_keys_once(picker: AttributePicker, context: AttributePickerContext) -> Iterable[str]:
        if type(context.obj) is not dict:
            return find_keys(picker, context)  # the names may depend on the object
        parent = getattr(context.shape, "parent", None)
        keys: dict[Any, Iterable[str]] = context.shape.__dict__.setdefault("possible_keys", {})
        if (context.key, parent) not in keys:
            keys[context.key, parent] = tuple(find_keys(picker, context))
        return keys[context.key, parent]

    XFormedAttributePicker.get_possible_keys = find_keys_once


def patch_dynamodb_values() -> None:
    """Make moto return strings and numbers of items as it stores them. It looks for each of ten types in each value."""
    from moto.core.serialize import BaseJSONSerializer  # noqa: PLC0415 - as above

    serialize = BaseJSONSerializer._serialize_type_structure  # noqa: SLF001 - there is no public method

    def serialize_value(serializer: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
        is_value = shape.name == "AttributeValue" and type(value) is dict and len(value) == 1
        if is_value and type(value.get("S", value.get("N"))) is str:
            serialized[key] = value
        else:
            serialize(serializer, serialized, value, shape, key)

    BaseJSONSerializer._serialize_type_structure = serialize_value  # noqa: SLF001 - as above
