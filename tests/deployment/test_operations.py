"""The operators' commands in docs/how-to, run unchanged against the emulator."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from local.stack import ROOT, STACK
from tests.support.aws_emulator import PYTHON, UNSUPPORTED, DeployedStack, start_emulator

PAGES = "\n".join(
    (ROOT / "docs" / "how-to" / f"{name}.md").read_text()
    for name in (
        "deploy",
        "manage-users-and-keys",
        "respond-to-alarms",
        "handle-dead-letters",
        "restore-data",
        "remove-a-stack",
    )
)

#: Version 1 of the AWS CLI ignores the environment variable for SQS.
PRELUDE = 'set -eu; aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n'

type Shell = Callable[..., str]


def read_commands(section: str) -> list[str]:
    """Return the blocks of commands of a section."""
    text = PAGES.partition(f"\n## {section}\n")[2].partition("\n## ")[0].partition("\n# ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStack]:
    """Deploy another stack, because the last test removes it."""
    with start_emulator(tmp_path_factory.mktemp("operations")) as aws:
        result = aws.deploy(*UNSUPPORTED)
        assert result.returncode == 0, result.stdout + result.stderr
        yield DeployedStack(aws)


@pytest.fixture(scope="module")
def shell(stack: DeployedStack) -> Shell:
    (functions,) = (block for block in read_commands("Deploy") if "out()" in block)
    return lambda *blocks: run_bash(functions + "\n".join(blocks), stack.emulator.environment)


def run_bash(script: str, environment: dict[str, str]) -> str:
    """Run a script, and return its output."""
    path = {"PATH": f"{PYTHON.parent}:{environment['PATH']}", "AWS_PAGER": ""}
    result = subprocess.run(
        ["bash", "-c", PRELUDE + script],
        cwd=ROOT,
        env=environment | path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_register_user_and_rotate_key(shell: Shell) -> None:
    output = shell(*read_commands("Register the first user"))
    key_id = re.findall(r'"key_id": "(\w+)"', output)[0]
    assert f'"api_key": "prj_{key_id}_' in output
    (rotate,) = read_commands("Rotate a key")
    assert '"revoked_at": "2' in shell(rotate.replace("0123456789abcdef", key_id))


def test_read_log(shell: Shell) -> None:
    (read,) = read_commands("Alarms")
    assert "events" in json.loads(shell(read))


def test_read_dead_letters(shell: Shell, stack: DeployedStack) -> None:
    stack.aws("sqs").send_message(QueueUrl=stack.outputs["EventsDeadLettersUrl"], MessageBody="rejected")
    receive, _ = read_commands("Dead letters")
    assert json.loads(shell(receive))["Messages"][0]["Body"] == "rejected"


def test_restore_item(shell: Shell, stack: DeployedStack) -> None:
    table, dynamodb = stack.outputs["TableName"], stack.aws("dynamodb")
    dynamodb.put_item(TableName=table, Item={"PK": {"S": "PROJECT#lost"}, "SK": {"S": "PROJECT"}})
    restore, *rest = read_commands("Restore")
    shell(restore)
    dynamodb.delete_item(TableName=table, Key={"PK": {"S": "PROJECT#lost"}, "SK": {"S": "PROJECT"}})
    output = shell(*rest)
    assert "restored PROJECT#lost PROJECT" in output
    assert "EMAIL#" not in output
    assert "Item" in dynamodb.get_item(TableName=table, Key={"PK": {"S": "PROJECT#lost"}, "SK": {"S": "PROJECT"}})


def test_remove_stack(shell: Shell, stack: DeployedStack) -> None:
    s3 = stack.aws("s3")
    for bucket in (stack.outputs["ArtifactsBucketName"], stack.outputs["ExportsBucketName"]):
        for key in ("a", "a", "b"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
        s3.delete_object(Bucket=bucket, Key="b")
    shell(*read_commands("Remove"))
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert not [name for name in buckets if name.startswith(f"{STACK}-")]
    assert stack.outputs["TableName"] not in stack.aws("dynamodb").list_tables()["TableNames"]
    assert not [
        summary
        for summary in stack.aws("cloudformation").list_stacks()["StackSummaries"]
        if summary["StackName"] == STACK and summary["StackStatus"] != "DELETE_COMPLETE"
    ]
