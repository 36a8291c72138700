"""Throttled tasks of a worker, and waiting for tasks."""

import threading

import pytest

from projects_api.domain.exports import task_group
from projects_api.domain.exports.task_group import CancelledError, TaskGroup
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.aws_errors import ThrottledError


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list of pauses, which take no time."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


def test_throttled_task_is_repeated_for_tens_of_seconds(pauses: list[float]) -> None:
    """The pauses are random and grow, and none is longer than a third of a lease, which the heartbeat renews."""
    attempts: list[int] = []

    def throttle() -> None:
        attempts.append(1)
        raise ThrottledError

    totals = []
    for _ in range(20):
        with TaskGroup(lambda: True, {"copy": 2}) as group:
            group.submit("copy", throttle)
            with pytest.raises(StorageUnavailableError):
                group.join()
        totals.append(sum(pauses))
        assert len(attempts) == task_group.MAX_ATTEMPTS
        assert max(pauses) <= 1  # and the group checks in between whether it may continue
        attempts.clear()
        pauses.clear()
    assert len(set(totals)) > 10
    assert 10 < sum(totals) / len(totals) < 60


def test_task_around_a_throttled_one_is_not_repeated(pauses: list[float]) -> None:
    attempts: list[int] = []

    def throttle() -> None:
        attempts.append(1)
        raise ThrottledError

    with TaskGroup(lambda: True, {"copy": 1}) as group:
        group.submit("copy", group.call, throttle)
        with pytest.raises(StorageUnavailableError):
            group.join()
    assert len(attempts) == task_group.MAX_ATTEMPTS


def test_throttled_task_succeeds_later(pauses: list[float]) -> None:
    attempts: list[int] = []

    def throttle_twice() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ThrottledError

    with TaskGroup(lambda: True, {"copy": 1}) as group:
        group.submit("copy", throttle_twice)
        group.join()
    assert len(attempts) == 3
    assert pauses


def test_pause_ends_with_the_work(pauses: list[float]) -> None:
    """A worker that runs out of time, or that has lost its lease, does not wait for the end of a pause."""

    def throttle() -> None:
        raise ThrottledError

    with TaskGroup(lambda: len(pauses) < 5, {"copy": 1}) as group:
        group.submit("copy", throttle)
        with pytest.raises(CancelledError):
            group.join()
    assert len(pauses) <= 6


def test_tasks_can_submit_tasks() -> None:
    done: list[int] = []

    def count_down(number: int) -> None:
        done.append(number)
        if number:
            group.submit("copy", count_down, number - 1)

    with TaskGroup(lambda: True, {"copy": 1}) as group:
        group.submit("copy", count_down, 20)
        group.join()
        assert done == list(range(20, -1, -1))


def test_condition_ends_a_wait_before_all_tasks_are_done() -> None:
    going = threading.Event()
    done: list[int] = []
    with TaskGroup(lambda: True, {"copy": 2}) as group:
        group.submit("copy", going.wait, 30)
        group.submit("copy", done.append, 1)
        group.wait_until(lambda: bool(done))
        assert not going.is_set()
        going.set()
        group.join()


def test_failure_ends_a_wait_for_a_condition() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with TaskGroup(lambda: True, {"copy": 1}) as group:
        group.submit("copy", fail)
        with pytest.raises(ZeroDivisionError):
            group.wait_until(lambda: False)
