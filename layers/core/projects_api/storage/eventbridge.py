"""The EventBridge bus: publish events for other services."""

import json
from typing import Any

from projects_api import settings
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors

SOURCE = "mlplatform.projects"


def publish(detail_type: str, detail: dict[str, Any]) -> None:
    """Publish an event on the bus.

    Raises:
        StorageUnavailableError: EventBridge is not available or did not accept the event.
    """
    entry = {"EventBusName": settings.bus(), "Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)}
    with translate_aws_errors():
        response = clients.events().put_events(Entries=[entry])  # type: ignore[list-item]  # a dict is one
    if response["FailedEntryCount"]:
        raise StorageUnavailableError
