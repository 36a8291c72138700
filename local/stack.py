"""The deployed stack: what its functions, queues, schedules and names are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent
STACK = "projects"
REGION: Final = "eu-west-1"
ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the stack: its names in the template and in Lambda, its role, its code, and how it is run."""

    name: str
    deployed_as: str
    role: str
    folder: Path
    environment: dict[str, str]
    timeout: int
    memory: int


@dataclass(frozen=True, slots=True)
class Source:
    """A queue that a function works off."""

    queue_url: str
    function: str
    batch_size: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """An expression of EventBridge Scheduler's, and the function that it calls."""

    expression: str
    function: str


@dataclass(frozen=True, slots=True)
class Stack:
    functions: dict[str, Function]
    sources: list[Source]
    schedules: list[Schedule]
    table: str
    bus: str
    artifacts: str
    exports: str
