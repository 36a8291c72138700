"""`sam local invoke` of every function with each of its sample events."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.sam_local import SamLocal
from tests.support.sample_events import SampleEvent, find_differences, load_sample_events

EVENTS = load_sample_events()

#: The number of containers that run in parallel: CI has as many processors.
CONTAINERS = 2


@pytest.fixture(scope="module")
def responses(sam: SamLocal) -> Iterator[dict[SampleEvent, Future[Any]]]:
    """Invoke the functions in the background, and yield the future response to each event."""
    with ThreadPoolExecutor(CONTAINERS) as pool:
        yield {event: pool.submit(sam.invoke, event.function, event.content) for event in EVENTS}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_response_to_event(
    responses: dict[SampleEvent, Future[Any]], event: SampleEvent, capsys: pytest.CaptureFixture[str]
) -> None:
    response = responses[event].result()
    differences = list(find_differences(event.expected, response))
    with capsys.disabled():
        print(
            f"\n{event.function:16} {event.path.stem:32} {'DIFFERS' if differences else 'ok':8}{summarize(response)}",
            end="",
        )
    assert not differences


def summarize(response: Any) -> str:
    """Return a line about a response."""
    if "statusCode" in response:
        body = response.get("body", "")
        return f"{response['statusCode']} {'' if response.get('isBase64Encoded') else ' '.join(body.split())[:60]}"
    return json.dumps(response)[:64]
