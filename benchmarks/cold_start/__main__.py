"""The program of `make benchmark-cold-start`: starts every function in turn and writes the results."""

import argparse
import compileall
import json
import os
import py_compile
import random
import shutil
import statistics
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import botocore

from benchmarks.cold_start.tls_endpoint import start_tls_endpoint
from benchmarks.machine import describe_machine
from local.stack import ROOT
from tests.support.in_process_app import InProcessApp
from tests.support.moto_server_app import start_moto_server_app
from tests.support.sample_events import load_sample_events

HERE = Path(__file__).parent
BUILD = ROOT / ".aws-sam" / "build"
LAYER = BUILD / "CoreLayer" / "python"
RESULTS_FILE = ROOT / "docs" / "benchmarks" / "cold_start.md"
MIB = 1 << 20

BARE_CLIENT = "bare client"
TYPICAL_HANDLER = "typical handler"

#: The limits of the benchmark: the most that a function's start may take relative to the bare client's, with and
#: without the first call to DynamoDB, and the least that the typical handler's must take relative to the function's.
MAX_RATIO_TO_BARE_CLIENT = 1.5
MIN_SPEEDUP_OVER_TYPICAL_HANDLER = 2.5

#: The packages that the two references need. They are copied from this environment without bytecode.
REFERENCE_PACKAGES = (
    "annotated_types", "aws_lambda_powertools", "aws_xray_sdk", "boto3", "botocore", "dateutil", "jmespath", "pydantic",
    "pydantic_core", "s3transfer", "six.py", "typing_extensions.py", "typing_inspection", "urllib3", "wrapt",
)  # fmt: skip

#: The events for the measurement of warm functions. Each has the same response every time.
REPEATABLE_EVENTS = (
    "authorize/valid_key", "list_projects/caller_is_owner", "list_projects/case_insensitive_search",
    "get_project/caller_is_editor", "update_project/caller_is_editor", "create_project/name_and_description",
    "list_members/caller_is_member", "add_member/changed_role", "get_timeline/caller_is_member",
    "start_export/unchanged_project", "list_exports/caller_is_member", "get_export/ready_export",
    "get_archive/accept_any", "record_resource/repeated_event", "get_openapi/no_key", "get_docs/no_key",
)  # fmt: skip

#: What a process runs to start a function: it imports the module and looks up the handler, as Lambda's runtime client
#: does. Then it makes its first call. It reports both steps.
START_PROGRAM = """
import os, app
app.handler
os.write(1, b"1")
{first_call}
os.write(1, b"2")
"""

#: The arguments of the first call.
ARGUMENTS = "TableName=os.environ['TABLE'], Key={'PK': {'S': 'any'}, 'SK': {'S': 'any'}}"

#: The first call of a function. A function that never calls AWS has no client.
FIRST_CALL = f"""
import sys
clients = sys.modules.get("projects_api.storage.clients")
if clients:
    clients.dynamodb().get_item({ARGUMENTS})
"""


@dataclass(frozen=True)
class Start:
    """The start of a process.

    Attributes:
        ready: The seconds until its handler is ready.
        called: The seconds until DynamoDB has responded to its first call.
    """

    ready: float
    called: float


@dataclass(frozen=True)
class Startable:
    """A function or a reference whose start is measured.

    Attributes:
        path: The folders for ``PYTHONPATH``, in order.
        variables: The environment variables that it needs in addition to the usual ones.
        first_call: The statements that make its first call to DynamoDB.
    """

    path: tuple[Path, ...]
    variables: dict[str, str]
    first_call: str

    def environment(self) -> dict[str, str]:
        """Return all environment variables of the process."""
        return {
            "PYTHONPATH": ":".join(map(str, self.path)),
            "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's file system is read-only
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "POWERTOOLS_SERVICE_NAME": "projects",
            "POWERTOOLS_METRICS_NAMESPACE": "ProjectsApi",
            **self.variables,
        }

    def start(self, python: Path) -> Start:
        """Start a process and return how long it takes."""
        started = time.perf_counter()
        command = [python, "-c", START_PROGRAM.format(first_call=self.first_call)]
        with subprocess.Popen(command, env=self.environment(), stdout=subprocess.PIPE) as process:
            assert process.stdout
            durations = []
            for step in (b"1", b"2"):
                signal = process.stdout.read(1)
                durations.append(time.perf_counter() - started)
                assert signal == step, "the process failed"
        return Start(*durations)


def functions(app: InProcessApp, variables: dict[str, str]) -> dict[str, Startable]:
    """Return the built functions by name, each with the environment variables of the stack and ``variables``."""
    return {
        name: Startable(
            (BUILD / name, LAYER),
            function.environment | variables,
            FIRST_CALL,
        )
        for name, function in app.stack.functions.items()
    }


def create_references(folder: Path, variables: dict[str, str]) -> dict[str, Startable]:
    """Copy the packages into ``folder`` and return the bare client, with bytecode, and the typical handler, without."""
    site_packages = Path(botocore.__file__).parents[1]
    for name in ("compiled", "plain"):
        (folder / name).mkdir()
        for package in REFERENCE_PACKAGES:
            if (site_packages / package).is_dir():
                shutil.copytree(
                    site_packages / package, folder / name / package, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(site_packages / package, folder / name / package)
    compileall.compile_dir(
        folder / "compiled", quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    return {
        BARE_CLIENT: Startable((HERE / "bare", folder / "compiled"), variables, f"app.client.get_item({ARGUMENTS})"),
        TYPICAL_HANDLER: Startable(
            (HERE / "typical", folder / "plain"), variables, "app.table.get_item(Key={'PK': 'any', 'SK': 'any'})"
        ),
    }


def measure_cold_starts(startables: dict[str, Startable], python: Path, runs: int) -> dict[str, Start]:
    """Return the medians of each one's starts. They take turns in a random order, and the first round is a warm-up."""
    starts: dict[str, list[Start]] = {name: [] for name in startables}
    for number in range(runs + 1):
        for name in random.sample(list(startables), len(startables)):
            start = startables[name].start(python)
            if number:
                starts[name].append(start)
    return {
        name: Start(
            statistics.median(start.ready for start in of_function),
            statistics.median(start.called for start in of_function),
        )
        for name, of_function in starts.items()
    }


def cold_start_table(medians: dict[str, Start]) -> list[str]:
    """Return the lines of the Markdown table of cold starts."""
    bare, typical = medians[BARE_CLIENT], medians[TYPICAL_HANDLER]
    lines = [
        f"| function | ready after | ÷ {BARE_CLIENT} | {TYPICAL_HANDLER} ÷ it | first call after | ÷ {BARE_CLIENT} |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, start in medians.items():
        lines.append(
            f"| {name} | {start.ready * 1000:.0f} ms | {start.ready / bare.ready:.2f} |"
            f" {typical.ready / start.ready:.2f} | {start.called * 1000:.0f} ms | {start.called / bare.called:.2f} |"
        )
    return lines


def find_slow_functions(medians: dict[str, Start]) -> list[str]:
    """Return the functions that exceed the limits."""
    bare, typical = medians[BARE_CLIENT], medians[TYPICAL_HANDLER]
    return [
        name
        for name, start in medians.items()
        if name not in {BARE_CLIENT, TYPICAL_HANDLER}
        and (
            start.ready > MAX_RATIO_TO_BARE_CLIENT * bare.ready
            or start.called > MAX_RATIO_TO_BARE_CLIENT * bare.called
            or typical.ready < MIN_SPEEDUP_OVER_TYPICAL_HANDLER * start.ready
        )
    ]


def warm_table(startables: dict[str, Startable], python: Path, times: int) -> list[str]:
    """Measure warm functions and return the lines of the Markdown table."""
    lines = [
        "| function | event | first invocation | without AWS | median of the others, without AWS |",
        "|---|---|---:|---:|---:|",
    ]
    events_by_name = {str(event): event for event in load_sample_events()}
    for name in REPEATABLE_EVENTS:
        event = events_by_name[name]
        command: list[str | Path] = [python, HERE / "warm.py", event.path, str(times)]
        environment = startables[event.function].environment()
        process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        milliseconds = json.loads(process.stdout)
        lines.append(
            f"| {event.function} | {event.path.stem} | {milliseconds['first_with_aws']:.0f} ms |"
            f" {milliseconds['first']:.1f} ms | {milliseconds['median']:.2f} ms |"
        )
    return lines


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def size_table(functions: Iterable[str]) -> list[str]:
    """Return the lines of the Markdown table of sizes: the layer, its largest packages and all ``functions``."""
    packages = {
        package.name: folder_size(package)
        for package in LAYER.iterdir()
        if package.is_dir() and package.suffix != ".dist-info"
    }
    largest = sorted(packages, key=packages.__getitem__, reverse=True)[:6]
    function_sizes = [folder_size(BUILD / name) for name in functions]
    return [
        "| content | size, unzipped |",
        "|---|---:|",
        f"| the layer | {folder_size(LAYER) / MIB:.1f} MiB |",
        *[f"| in the layer: {name} | {packages[name] / MIB:.1f} MiB |" for name in largest],
        f"| all {len(function_sizes)} functions together | {sum(function_sizes) / MIB:.2f} MiB |",
    ]


def main() -> None:
    """Measure starts, warm invocations and sizes, and write docs/benchmarks/cold_start.md.

    Raises:
        SystemExit: A function exceeds the limits.
    """
    parser = argparse.ArgumentParser(description="Measure how fast every function starts.")
    parser.add_argument("--runs", type=int, default=7, help="starts of each function")
    parser.add_argument("--times", type=int, default=200, help="invocations of each warm function")
    parser.add_argument("--print", action="store_true", help="print the results and write no file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary_folder, start_moto_server_app() as app:
        folder = Path(temporary_folder)
        venv.create(folder / "venv", with_pip=False, symlinks=True)  # a Python without installed packages
        python = folder / "venv" / "bin" / "python"
        with start_tls_endpoint(urlsplit(os.environ["AWS_ENDPOINT_URL"]).port or 0, folder) as endpoint:
            hashed_folder = endpoint.create_hashed_folder(LAYER, folder / "authorities")
            bundle = endpoint.create_bundle(folder / "bundle.pem")
            endpoint_url = {"AWS_ENDPOINT_URL": endpoint.url}
            startables = functions(app, endpoint_url | {"AWS_CA_BUNDLE": str(hashed_folder)})
            references = create_references(
                folder, endpoint_url | {"AWS_CA_BUNDLE": str(bundle), "TABLE": os.environ["TABLE"]}
            )
            medians = measure_cold_starts(references | startables, python, arguments.runs)
            warm = warm_table(startables, python, arguments.times)
    slow_functions = find_slow_functions(medians)
    text = "\n".join(
        [
            "# Cold starts",
            "",
            f"Measured on {describe_machine()}, with the output of `make build`.",
            "Run `make benchmark-cold-start` to repeat the measurement.",
            "",
            "The time from the start of a process until the handler and its clients are ready, and until DynamoDB has",
            "responded to a first call (`GetItem`). All connections are TLS, as to AWS: moto's server is behind a TLS",
            "endpoint, and every process trusts botocore's authorities and that of the endpoint: the references read",
            "them from botocore's bundle, the functions from the layer's folder. Python cannot write",
            f"bytecode, as on Lambda. The figures are medians of {arguments.runs} starts. The functions take turns",
            "in a random order.",
            f"The target for every function is {MAX_RATIO_TO_BARE_CLIENT} times the bare client, for both.",
            "There are two references:",
            "",
            '- *bare client*: `boto3.client("dynamodb")` and nothing else, with boto3 as `pip` unpacks it,',
            "  with bytecode.",
            "- *typical handler*: Powertools' validating resolver, Logger, Metrics and Tracer, a pydantic model and",
            "  `boto3.resource`, without bytecode.",
            "",
            *cold_start_table(medians),
            "",
            f"Functions that miss the targets: {', '.join(slow_functions) or 'none'}.",
            "",
            "## Warm invocations",
            "",
            "The time that a function needs for an event of `events/`, over TLS. The first invocation opens the",
            "connections. Most of the time with AWS is that of moto's server.",
            "",
            *warm,
            "",
            "## Sizes",
            "",
            *size_table(startables),
        ]
    )
    print(text)
    if not arguments.print:
        RESULTS_FILE.parent.mkdir(exist_ok=True)
        RESULTS_FILE.write_text(text + "\n")
    if slow_functions:
        raise SystemExit(
            f"These functions take over {MAX_RATIO_TO_BARE_CLIENT} times as long to start as the bare client, or are"
            f" less than {MIN_SPEEDUP_OVER_TYPICAL_HANDLER} times as fast as the typical handler:"
            f" {', '.join(slow_functions)}"
        )


if __name__ == "__main__":
    main()
