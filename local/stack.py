"""The local stack as data: its functions, queues, schedules and the names of its resources."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The root folder of the repository.
ROOT = Path(__file__).parent.parent

#: The name of the CloudFormation stack.
STACK = "projects"
REGION: Final = "eu-west-1"

#: The id of moto's default account.
ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function of the stack.

    Attributes:
        name: The logical id in template.yaml.
        physical_name: The name of the deployed function in Lambda.
        role: The ARN of the execution role.
        folder: The folder that contains ``app.py``.
        environment: The environment variables.
        timeout: The longest time an invocation may take, in seconds.
        memory: The memory limit in MiB.
    """

    name: str
    physical_name: str
    role: str
    folder: Path
    environment: dict[str, str]
    timeout: int
    memory: int


@dataclass(frozen=True, slots=True)
class EventSource:
    """An event source mapping: a queue and the function that receives its messages.

    Attributes:
        queue_url: The URL of the queue.
        function: The logical id of the function.
        batch_size: The most messages of one invocation.
        concurrency: The most invocations in parallel.
    """

    queue_url: str
    function: str
    batch_size: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule of EventBridge Scheduler.

    Attributes:
        expression: The schedule expression, ``rate(...)`` or ``cron(...)``.
        function: The logical id of the function that the schedule invokes.
    """

    expression: str
    function: str


@dataclass(frozen=True, slots=True)
class Stack:
    """The deployed stack.

    Attributes:
        functions: The functions by logical id.
        event_sources: The event source mappings.
        schedules: The schedules that are enabled.
        table: The name of the DynamoDB table.
        bus: The name of the event bus.
        artifacts: The name of the artifacts bucket.
        exports: The name of the exports bucket.
    """

    functions: dict[str, Function]
    event_sources: list[EventSource]
    schedules: list[Schedule]
    table: str
    bus: str
    artifacts: str
    exports: str
