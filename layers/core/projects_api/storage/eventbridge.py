"""What is handed on to the jobs, and said on the bus."""

import json
from typing import Any

from projects_api import settings
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors

SOURCE = "mlplatform.projects"


def publish(detail_type: str, detail: dict[str, Any]) -> None:
    """Says something on the bus.

    Raises:
        StorageUnavailableError: The bus did not take it.
    """
    entry = {"EventBusName": settings.bus(), "Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)}
    with translate_aws_errors():
        answer = clients.events().put_events(Entries=[entry])  # type: ignore[list-item]  # a dict is one
    if answer["FailedEntryCount"]:
        raise StorageUnavailableError
