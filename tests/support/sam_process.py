"""A command of `sam`, in a process forked from one that has imported what such commands need, and nothing of ours."""

import os
import sys
from pathlib import Path

#: What is imported once, which takes longer than most commands.
IMPORTED = [
    "samcli.cli.main",
    "samcli.commands.local.invoke.cli",
    "samcli.commands.local.start_api.cli",
    "samcli.commands.local.cli_common.invoke_context",
    "tests.support.sam_process",
]


def run(command: list[str], folder: Path, image_built: bool) -> None:
    """`sam`, which prints into two files of ``folder``.

    Each command would build the image of the runtime and the template's own layer anew; the first one's is enough.
    """
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        with (folder / name).open("w") as output:
            os.dup2(output.fileno(), stream.fileno())
    # sam asks STS whose account it is; for the functions, this address would be preferred to the template's
    os.environ["AWS_ENDPOINT_URL_STS"] = os.environ.pop("AWS_ENDPOINT_URL")
    from samcli.cli.main import cli  # noqa: PLC0415 - only the process that the commands are forked from wants it
    from samcli.local.docker.lambda_image import LambdaImage  # noqa: PLC0415 - as above

    if image_built:
        LambdaImage._build_image = lambda *_, **__: None
    cli(command, prog_name="sam")
