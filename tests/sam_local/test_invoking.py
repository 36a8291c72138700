"""``sam local invoke`` of every function with every event that there is for it."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.sam_local import SamLocal
from tests.support.sample_events import Event, differences, events

EVENTS = events()

#: How many containers run at once: as many as CI has processors.
RESOURCES_PER_TRANSACTION = 2


@pytest.fixture(scope="module")
def answers(sam: SamLocal) -> Iterator[dict[Event, Future[Any]]]:
    """What each event is answered with, in the end."""
    with ThreadPoolExecutor(RESOURCES_PER_TRANSACTION) as pool:
        yield {event: pool.submit(sam.invoke, event.function, event.content) for event in EVENTS}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_an_event_is_answered_as_expected(
    answers: dict[Event, Future[Any]], event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = answers[event].result()
    found = list(differences(event.expected, answer))
    with capsys.disabled():
        print(f"\n{event.function:16} {event.path.stem:32} {'DIFFERS' if found else 'ok':8}{redact(answer)}", end="")
    assert not found


def redact(answer: Any) -> str:
    """An answer in a line."""
    if "statusCode" in answer:
        body = answer.get("body", "")
        return f"{answer['statusCode']} {'' if answer.get('isBase64Encoded') else ' '.join(body.split())[:60]}"
    return json.dumps(answer)[:64]
