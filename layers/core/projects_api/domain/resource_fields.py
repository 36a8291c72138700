"""The fields of resources: what each type of resource may have, in events and over HTTP."""

import json
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from projects_api.entities.errors import InvalidInputError, summarize_validation_error
from projects_api.entities.resource import ResourceType
from projects_api.entities.strict_json import iterate_levels
from projects_api.entities.text import is_blank, to_nfc

#: Maximum size of a resource's own fields as JSON, in bytes. An item and its copies in the two local indexes may take
#: 400 KB together (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
MAX_FIELDS_SIZE = 100_000

#: Maximum nesting depth of a resource's own fields. Responses nest them a few levels deeper, and there are JSON readers
#: that stop at 64 levels (https://learn.microsoft.com/dotnet/api/system.text.json.jsonserializeroptions.maxdepth).
MAX_FIELDS_DEPTH = 50

#: Maximum length of an object key in UTF-8, in bytes
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
MAX_KEY_SIZE = 1024

#: Maximum length of a resource's name, in characters.
MAX_NAME_LENGTH = 1024


def _require(valid: str) -> WrapValidator:
    """Return a validator whose message says which values are ``valid``. It rejects booleans, which are no numbers."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            if not isinstance(value, bool):
                return handler(value)
        except ValidationError:
            pass
        raise ValueError(f"send {valid}")

    return WrapValidator(validate)


Text = Annotated[str, StringConstraints(max_length=1024), _require("a text of at most 1,024 characters")]
Count = Annotated[int, Field(ge=0), _require("a whole number, 0 or more")]
Seconds = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, allow_inf_nan=False)],
    _require("a number of seconds, 0 or more"),
]


def _check_key_size(key: str) -> str:
    if len(key.encode()) > MAX_KEY_SIZE:
        raise ValueError(f"the key takes more than {MAX_KEY_SIZE} bytes in UTF-8")
    return key


def _normalize(name: Any) -> Any:
    return to_nfc(name.strip(), MAX_NAME_LENGTH) if isinstance(name, str) else name


def _reject_blank(name: str) -> str:
    if is_blank(name):
        raise ValueError("the name shows nothing")
    return name


#: The name of a resource, stored trimmed and in NFC.
ResourceName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH),
    AfterValidator(_reject_blank),
    BeforeValidator(_normalize),
]


class Artifact(BaseModel):
    """A resource's file."""

    key: Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_key_size)]
    content_type: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "application/octet-stream"


class ResourceDetail(BaseModel):
    """A resource in an event. Additional fields are stored unchanged and appear in the manifest of an export."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    name: ResourceName
    artifact: Artifact | None = None


class Dataset(ResourceDetail):
    """A dataset in an event."""

    rows: Count | None = None
    columns: Count | None = None


class Experiment(ResourceDetail):
    """An experiment in an event."""

    status: Text | None = None
    target_column: Text | None = None
    problem_type: Text | None = None
    best_model_type: Text | None = None
    duration: Seconds | None = None


MODELS: dict[ResourceType, type[ResourceDetail]] = {
    ResourceType.DATASET: Dataset,
    ResourceType.EXPERIMENT: Experiment,
    ResourceType.MODEL: ResourceDetail,
    ResourceType.DEPLOYMENT: ResourceDetail,
    ResourceType.REPORT: ResourceDetail,
}

#: The names in an event's ``resource`` that are not fields of the resource's own.
RESERVED_FIELDS = frozenset({"id", "name", "artifact"})

#: Stands for the id and the name of a resource while only its fields are validated.
_PLACEHOLDERS = {"id": UUID(int=0), "name": "-"}


def validate_fields(type_: ResourceType, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a resource's own fields as they would be recorded from an event.

    Raises:
        InvalidInputError: A field has the wrong type or a reserved name, or the fields are too large.
    """
    if reserved := RESERVED_FIELDS & fields.keys():
        raise InvalidInputError(
            f"'{min(reserved)}' can't be the name of a field: use another name.", loc=("body", "fields", min(reserved))
        )
    try:
        return dump_fields(MODELS[type_].model_validate(fields | _PLACEHOLDERS))
    except ValidationError as error:
        message = summarize_validation_error(error)
    except ValueError as error:
        message = str(error)
    raise InvalidInputError(f"The fields are not valid: {message}.", loc=("body", "fields"))


def dump_fields(resource: ResourceDetail) -> dict[str, Any]:
    """Return the fields of the resource's own as JSON data.

    Raises:
        ValueError: They are too large or nested too deeply, or JSON does not allow one of them.
    """
    if next(islice(iterate_levels(dict(resource)), MAX_FIELDS_DEPTH + 1, None), None):
        raise ValueError(f"the fields are nested more than {MAX_FIELDS_DEPTH} levels deep")
    fields = resource.model_dump(exclude=set(RESERVED_FIELDS), exclude_unset=True)
    try:
        size = len(json.dumps(fields, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise ValueError("a field has a number or a text that JSON does not allow") from None
    if size > MAX_FIELDS_SIZE:
        raise ValueError(f"the fields take {size} bytes of JSON, more than {MAX_FIELDS_SIZE}")
    return fields
