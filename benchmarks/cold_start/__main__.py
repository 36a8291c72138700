"""The program of `make benchmark-cold-start`: starts every function in turn and writes the results."""

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

from benchmarks.machine import describe_machine
from local.stack import ROOT
from local.template import load_template
from tests.support.moto_server_app import start_moto_server_app
from tests.support.sample_events import load_sample_events

HERE = Path(__file__).parent
BUILD = ROOT / ".aws-sam" / "build"
LAYER = BUILD / "CoreLayer" / "python"
RESULTS_FILE = ROOT / "docs" / "benchmarks" / "cold_start.md"
MIB = 1 << 20

BARE_CLIENT = "bare client"
TYPICAL_HANDLER = "typical handler"

#: The limits of the benchmark: the most that a function's start may take relative to the bare client's, and the least
#: that the typical handler's start must take relative to the function's.
MAX_RATIO_TO_BARE_CLIENT = 1.8
MIN_SPEEDUP_OVER_TYPICAL_HANDLER = 2.5

#: The packages that the two references need. They are copied from this environment without bytecode.
REFERENCE_PACKAGES = (
    "annotated_types", "aws_lambda_powertools", "aws_xray_sdk", "boto3", "botocore", "dateutil", "jmespath", "pydantic",
    "pydantic_core", "s3transfer", "six.py", "typing_extensions.py", "typing_inspection", "urllib3", "wrapt",
)  # fmt: skip

#: The events for the measurement of warm functions, one per function. Each has the same response every time.
REPEATABLE_EVENTS = (
    "authorize/valid_key", "list_projects/caller_is_owner", "get_project/caller_is_editor",
    "update_project/caller_is_editor", "create_project/name_and_description", "list_members/caller_is_member",
    "add_member/changed_role", "get_timeline/caller_is_member", "start_export/unchanged_project",
    "list_exports/caller_is_member", "get_export/ready_export", "get_archive/accept_any",
    "record_resource/repeated_event", "get_openapi/no_key", "get_docs/no_key",
)  # fmt: skip

#: What a process runs to start a function, as Lambda's runtime client does: import the module and look up the handler.
START_PROGRAM = "import os, importlib; importlib.import_module('app').handler; os.write(1, b'.')"


@dataclass(frozen=True)
class Startable:
    """A function or a reference whose start is measured.

    Attributes:
        path: The folders for ``PYTHONPATH``, in order.
        variables: The environment variables that it needs in addition to the usual ones.
    """

    path: tuple[Path, ...]
    variables: dict[str, str]

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
            "TABLE": "table",
            "POWERTOOLS_SERVICE_NAME": "projects",
            "POWERTOOLS_METRICS_NAMESPACE": "ProjectsApi",
            **self.variables,
        }

    def start(self, python: Path) -> float:
        """Start a process and return the seconds until its handler is ready."""
        started = time.perf_counter()
        with subprocess.Popen([python, "-c", START_PROGRAM], env=self.environment(), stdout=subprocess.PIPE) as process:
            assert process.stdout
            signal = process.stdout.read(1)
            duration = time.perf_counter() - started
        assert signal == b".", "the process did not start"
        return duration


def functions() -> dict[str, Startable]:
    """Return the built functions by name, with the environment variables that the template declares for each."""
    startables = {}
    for name, resource in load_template()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            declared = resource["Properties"].get("Environment", {}).get("Variables", {})
            variables = dict.fromkeys(declared, "https://sqs.eu-west-1.amazonaws.com/1/q")
            startables[name] = Startable((BUILD / name, LAYER), variables | {"ARCHIVE_RETENTION_DAYS": "7"})
    return startables


def create_references(folder: Path) -> dict[str, Startable]:
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
        BARE_CLIENT: Startable((HERE / "bare", folder / "compiled"), {}),
        TYPICAL_HANDLER: Startable((HERE / "typical", folder / "plain"), {}),
    }


def measure_cold_starts(startables: dict[str, Startable], python: Path, runs: int) -> dict[str, float]:
    """Return the median seconds that each start takes. They take turns, and the first round is a warm-up."""
    durations: dict[str, list[float]] = {name: [] for name in startables}
    for number in range(runs + 1):
        for name, startable in startables.items():
            seconds = startable.start(python)
            if number:
                durations[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in durations.items()}


def cold_start_table(medians: dict[str, float]) -> list[str]:
    """Return the lines of the Markdown table of cold starts."""
    bare, typical = medians[BARE_CLIENT], medians[TYPICAL_HANDLER]
    lines = [f"| function | ready after | ÷ {BARE_CLIENT} | {TYPICAL_HANDLER} ÷ function |", "|---|---:|---:|---:|"]
    for name, seconds in medians.items():
        lines.append(f"| {name} | {seconds * 1000:.0f} ms | {seconds / bare:.2f} | {typical / seconds:.2f} |")
    return lines


def find_slow_functions(medians: dict[str, float]) -> list[str]:
    """Return the functions that exceed the limits."""
    bare, typical = medians[BARE_CLIENT], medians[TYPICAL_HANDLER]
    return [
        name
        for name, seconds in medians.items()
        if name in functions()
        and (seconds > MAX_RATIO_TO_BARE_CLIENT * bare or typical < MIN_SPEEDUP_OVER_TYPICAL_HANDLER * seconds)
    ]


def warm_table(python: Path, times: int) -> list[str]:
    """Measure warm functions, with the stack on moto's server, and return the lines of the Markdown table."""
    lines = ["| function | event | first invocation | median of the others |", "|---|---|---:|---:|"]
    events_by_name = {str(event): event for event in load_sample_events()}
    with start_moto_server_app() as app:
        for name in REPEATABLE_EVENTS:
            event = events_by_name[name]
            startable = functions()[event.function]
            variables = app.stack.functions[event.function].environment
            environment = startable.environment() | variables | {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
            command: list[str | Path] = [python, HERE / "warm.py", event.path, str(times)]
            process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            milliseconds = json.loads(process.stdout)
            lines.append(
                f"| {event.function} | {event.path.stem} | {milliseconds['first']:.1f} ms |"
                f" {milliseconds['median']:.2f} ms |"
            )
    return lines


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def size_table() -> list[str]:
    """Return the lines of the Markdown table of sizes: the layer, its largest packages and all functions."""
    packages = {
        package.name: folder_size(package)
        for package in LAYER.iterdir()
        if package.is_dir() and package.suffix != ".dist-info"
    }
    largest = sorted(packages, key=packages.__getitem__, reverse=True)[:6]
    functions_size = sum(folder_size(BUILD / name) for name in functions())
    return [
        "| content | size, unzipped |",
        "|---|---:|",
        f"| the layer | {folder_size(LAYER) / MIB:.1f} MiB |",
        *[f"| in the layer: {name} | {packages[name] / MIB:.1f} MiB |" for name in largest],
        f"| all {len(functions())} functions together | {functions_size / MIB:.2f} MiB |",
    ]


def main() -> None:
    """Measure starts, warm invocations and sizes, and write docs/benchmarks/cold_start.md.

    Raises:
        SystemExit: A function exceeds the limits.
    """
    parser = argparse.ArgumentParser(description="Measure how fast every function starts.")
    parser.add_argument("--runs", type=int, default=15, help="starts of each function")
    parser.add_argument("--times", type=int, default=200, help="invocations of each warm function")
    parser.add_argument("--print", action="store_true", help="print the results and write no file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder) / "venv", with_pip=False, symlinks=True)  # a Python without installed packages
        python = Path(folder) / "venv" / "bin" / "python"
        medians = measure_cold_starts(create_references(Path(folder)) | functions(), python, arguments.runs)
        warm = warm_table(python, arguments.times)
    text = "\n".join(
        [
            "# Cold starts",
            "",
            f"Measured on {describe_machine()}, with the output of `make build`.",
            "Run `make benchmark-cold-start` to repeat the measurement.",
            "",
            "The time from the start of a process until the handler and its clients are ready. Python cannot write",
            f"bytecode, as on Lambda. The figures are medians of {arguments.runs} starts. The functions take turns.",
            "There are two references:",
            "",
            '- *bare client*: `boto3.client("dynamodb")` and nothing else, with boto3 as `pip` unpacks it,',
            "  with bytecode.",
            "- *typical handler*: Powertools' validating resolver, Logger, Metrics and Tracer, a pydantic model and",
            "  `boto3.resource`, without bytecode.",
            "",
            *cold_start_table(medians),
            "",
            "## Warm invocations",
            "",
            "The time that a function itself needs for an event of `events/`, without the time it waits for AWS.",
            "",
            *warm,
            "",
            "## Sizes",
            "",
            *size_table(),
        ]
    )
    print(text)
    if not arguments.print:
        RESULTS_FILE.parent.mkdir(exist_ok=True)
        RESULTS_FILE.write_text(text + "\n")
    if slow_functions := find_slow_functions(medians):
        raise SystemExit(
            f"These functions take over {MAX_RATIO_TO_BARE_CLIENT} times as long to start as the bare client, or are"
            f" less than {MIN_SPEEDUP_OVER_TYPICAL_HANDLER} times as fast as the typical handler:"
            f" {', '.join(slow_functions)}"
        )


if __name__ == "__main__":
    main()
