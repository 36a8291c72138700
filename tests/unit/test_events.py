"""The sample events in `events/`: each function returns the expected response."""

from typing import Any

import pytest

from tests.support.in_process_app import InProcessApp
from tests.support.sample_events import SampleEvent, create_sample_data, find_differences, load_sample_events


@pytest.fixture(scope="module")
def responses(session_app: InProcessApp) -> dict[str, Any]:
    """Invoke the functions with all events in their order, because some depend on others, and return the responses."""
    create_sample_data(session_app)
    responses = {str(event): _invoke(session_app, event) for event in load_sample_events()}
    session_app.reset()
    return responses


def _invoke(app: InProcessApp, event: SampleEvent) -> Any:
    try:
        return app.invoke(event.function, event.content)
    except Exception as error:  # noqa: BLE001 - Lambda responds to any error with its type and message
        return {"errorType": type(error).__name__, "errorMessage": str(error)}


@pytest.mark.parametrize("event", load_sample_events(), ids=str)
def test_response_to_event(responses: dict[str, Any], event: SampleEvent) -> None:
    assert not list(find_differences(event.expected, responses[str(event)]))


def test_every_function_has_events(session_app: InProcessApp) -> None:
    assert {event.function for event in load_sample_events()} == set(session_app.stack.functions)
