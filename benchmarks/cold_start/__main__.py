"""Starts everything in turn, and writes the tables: `make benchmark-cold-start`."""

import argparse
import compileall
import json
import os
import py_compile
import shutil
import statistics
import subprocess
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import botocore

from benchmarks.machine import machine
from local.stack import ROOT
from local.template import load_template
from tests.support.moto_server_app import moto_server_app
from tests.support.sample_events import events

HERE = Path(__file__).parent
BUILD = ROOT / ".aws-sam" / "build"
LAYER = BUILD / "CoreLayer" / "python"
TABLES = ROOT / "docs" / "benchmarks" / "cold_start.md"
MIB = 1 << 20

#: What the issue of starting asks of each function.
MOST_OF_BARE, LEAST_OF_USUAL = 1.8, 2.5

#: What the two references stand on, as `pip install` leaves it but for the bytecode.
PACKAGES = (
    "annotated_types", "aws_lambda_powertools", "aws_xray_sdk", "boto3", "botocore", "dateutil", "jmespath", "pydantic",
    "pydantic_core", "s3transfer", "six.py", "typing_extensions.py", "typing_inspection", "urllib3", "wrapt",
)  # fmt: skip

#: Events whose repeats are answered alike, one for each function that is measured when it is warm.
REPEATABLE = (
    "authorize/a_valid_key", "list_projects/an_owner", "get_project/a_member", "update_project/an_editor",
    "create_project/a_name_and_a_description", "list_members/a_member", "add_member/another_role",
    "get_timeline/a_member", "start_export/a_project_that_has_not_changed", "list_exports/a_member",
    "get_export/a_ready_one", "get_archive/as_curl_asks", "record_resource/a_batch_with_a_repeat",
    "get_openapi/without_a_key", "get_docs/without_a_key",
)  # fmt: skip

#: What a function is started with, as Lambda's runtime client does it: it imports the module and takes the handler.
START = "import os, importlib; importlib.import_module('app').handler; os.write(1, b'.')"


@dataclass(frozen=True)
class Starter:
    """Something that can be started: where its code is, in the order of ``PYTHONPATH``, and its environment."""

    path: tuple[Path, ...]
    variables: dict[str, str]

    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": ":".join(map(str, self.path)),
            "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's file system is read-only
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "TABLE": "table",
            "POWERTOOLS_SERVICE_NAME": "projects",
            "POWERTOOLS_METRICS_NAMESPACE": "ProjectsApi",
            **self.variables,
        }

    def start(self, python: Path) -> float:
        """The seconds from the start of the process until its handler is ready."""
        began = time.perf_counter()
        with subprocess.Popen([python, "-c", START], env=self.environment(), stdout=subprocess.PIPE) as process:
            assert process.stdout
            ready = process.stdout.read(1)
            took = time.perf_counter() - began
        assert ready == b".", "it did not start"
        return took


def functions() -> dict[str, Starter]:
    """The functions as they are built, each with the environment variables that the template gives it."""
    found = {}
    for name, resource in load_template()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            given = resource["Properties"].get("Environment", {}).get("Variables", {})
            variables = dict.fromkeys(given, "https://sqs.eu-west-1.amazonaws.com/1/q")
            found[name] = Starter((BUILD / name, LAYER), variables | {"ARCHIVE_RETENTION_DAYS": "7"})
    return found


def references(folder: Path) -> dict[str, Starter]:
    """A bare client, with bytecode, and the usual handler, without."""
    installed = Path(botocore.__file__).parents[1]
    for name in ("compiled", "plain"):
        (folder / name).mkdir()
        for package in PACKAGES:
            if (installed / package).is_dir():
                shutil.copytree(
                    installed / package, folder / name / package, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(installed / package, folder / name / package)
    compileall.compile_dir(
        folder / "compiled", quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    return {
        "a bare client": Starter((HERE / "bare", folder / "compiled"), {}),
        "the usual handler": Starter((HERE / "usual", folder / "plain"), {}),
    }


def cold(starters: dict[str, Starter], python: Path, runs: int) -> dict[str, float]:
    """The median of the seconds that each takes to start; they take turns, and the first round does not count."""
    took: dict[str, list[float]] = {name: [] for name in starters}
    for number in range(runs + 1):
        for name, starter in starters.items():
            seconds = starter.start(python)
            if number:
                took[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def cold_table(medians: dict[str, float]) -> list[str]:
    bare, usual = medians["a bare client"], medians["the usual handler"]
    lines = ["| function | ready after | ÷ a bare client | the usual handler ÷ it |", "|---|---:|---:|---:|"]
    for name, seconds in medians.items():
        lines.append(f"| {name} | {seconds * 1000:.0f} ms | {seconds / bare:.2f} | {usual / seconds:.2f} |")
    return lines


def missed(medians: dict[str, float]) -> list[str]:
    """The functions that are slower than they may be."""
    bare, usual = medians["a bare client"], medians["the usual handler"]
    return [
        name
        for name, seconds in medians.items()
        if name in functions() and (seconds > MOST_OF_BARE * bare or usual < LEAST_OF_USUAL * seconds)
    ]


def warm_table(python: Path, times: int) -> list[str]:
    """What functions take for a request themselves, when they have started, with the stack on moto's server."""
    lines = ["| function | event | the first time | then |", "|---|---|---:|---:|"]
    by_name = {str(event): event for event in events()}
    with moto_server_app() as app:
        for name in REPEATABLE:
            event = by_name[name]
            starter = functions()[event.function]
            variables = app.stack.functions[event.function].environment
            environment = starter.environment() | variables | {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
            command = [python, HERE / "warm.py", event.path, str(times)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            took = json.loads(done.stdout)
            lines.append(f"| {event.function} | {event.path.stem} | {took['first']:.1f} ms | {took['median']:.2f} ms |")
    return lines


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def sizes_table() -> list[str]:
    parts = {one.name: size(one) for one in LAYER.iterdir() if one.is_dir() and one.suffix != ".dist-info"}
    largest = sorted(parts, key=parts.__getitem__, reverse=True)[:6]
    whole = sum(size(BUILD / name) for name in functions())
    return [
        "| unzipped | size |",
        "|---|---:|",
        f"| the layer | {size(LAYER) / MIB:.1f} MiB |",
        *[f"| of it {name} | {parts[name] / MIB:.1f} MiB |" for name in largest],
        f"| all {len(functions())} functions together | {whole / MIB:.2f} MiB |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="how often each is started")
    parser.add_argument("--times", type=int, default=200, help="how often each event is answered")
    parser.add_argument("--print", action="store_true", help="write nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder) / "venv", with_pip=False, symlinks=True)  # no packages of this machine's Python
        python = Path(folder) / "venv" / "bin" / "python"
        medians = cold(references(Path(folder)) | functions(), python, given.runs)
        warm = warm_table(python, given.times)
    text = "\n".join(
        [
            "# Cold starts",
            "",
            f"TakenLease on {machine()}, from what `make build` builds; `make benchmark-cold-start` takes them anew.",
            "",
            "From the start of the process until its handler is ready, its clients included, where no bytecode can be",
            f"written, as on Lambda: medians of {given.runs} starts, taken in turn. A bare client is",
            '`boto3.client("dynamodb")` and nothing else, with boto3 as `pip` unpacks it, and with bytecode. The usual',
            "handler is Powertools' validating resolver, Logger, Metrics and Tracer, a pydantic model and",
            "`boto3.resource`, without bytecode.",
            "",
            *cold_table(medians),
            "",
            "## Warm",
            "",
            "What a function itself takes for an event of `events/`, without what it waits for AWS.",
            "",
            *warm,
            "",
            "## Sizes",
            "",
            *sizes_table(),
        ]
    )
    print(text)
    if not given.print:
        TABLES.parent.mkdir(exist_ok=True)
        TABLES.write_text(text + "\n")
    if slow := missed(medians):
        raise SystemExit(
            f"Slower than {MOST_OF_BARE} bare clients, or not {LEAST_OF_USUAL} times as fast as usual: {slow}"
        )


if __name__ == "__main__":
    main()
