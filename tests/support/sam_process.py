"""A `sam` command in a forked process, whose parent has imported SAM CLI and no module of the project."""

import os
import sys
from pathlib import Path

#: The modules that the parent process imports once. The import takes longer than most commands.
PRELOADED_MODULES = [
    "samcli.cli.main",
    "samcli.commands.local.invoke.cli",
    "samcli.commands.local.start_api.cli",
    "samcli.commands.local.cli_common.invoke_context",
    "tests.support.sam_process",
]


def run_sam(command: list[str], folder: Path, image_built: bool) -> None:
    """Run `sam` in this process.

    Args:
        command: The command and its options.
        folder: The folder for the output, in the files `stdout` and `stderr`.
        image_built: Whether the image of the runtime and the template's layer exists. Otherwise `sam` builds it.
    """
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        with (folder / name).open("w") as output:
            os.dup2(output.fileno(), stream.fileno())
    # sam needs STS for the account number; AWS_ENDPOINT_URL would override the endpoint in the template for functions
    os.environ["AWS_ENDPOINT_URL_STS"] = os.environ.pop("AWS_ENDPOINT_URL")
    from samcli.cli.main import cli  # noqa: PLC0415 - only the parent of the forked processes imports it
    from samcli.local.docker.lambda_image import LambdaImage  # noqa: PLC0415 - as above

    if image_built:
        LambdaImage._build_image = lambda *_, **__: None
    cli(command, prog_name="sam")
