"""The commands of docs/operations.md, as they stand there, against the emulator."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from local.stack import ROOT, STACK
from tests.support.aws_emulator import PYTHON, REFUSED, Deployed, emulator

DOCUMENT = (ROOT / "docs" / "operations.md").read_text()

#: Version 1 of the AWS CLI asks SQS at AWS's own, whatever the environment says.
PRELUDE = 'set -eu; aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n'

type Shell = Callable[..., str]


def commands(section: str) -> list[str]:
    """The blocks of commands of a section."""
    text = DOCUMENT.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A stack of its own, since it is removed in the end."""
    with emulator(tmp_path_factory.mktemp("operations")) as aws:
        done = aws.deploy(*REFUSED)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Deployed(aws)


@pytest.fixture(scope="module")
def shell(stack: Deployed) -> Shell:
    (named,) = (block for block in commands("Deploy") if "out()" in block)
    return lambda *blocks: bash(named + "\n".join(blocks), stack.emulator.environment)


def bash(script: str, environment: dict[str, str]) -> str:
    """What the commands print."""
    path = {"PATH": f"{PYTHON.parent}:{environment['PATH']}", "AWS_PAGER": ""}
    done = subprocess.run(
        ["bash", "-c", PRELUDE + script],
        cwd=ROOT,
        env=environment | path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_user_is_registered_and_a_key_is_rotated(shell: Shell) -> None:
    said = shell(*commands("Register the first user"))
    key_id = re.findall(r'"key_id": "(\w+)"', said)[0]
    assert f'"api_key": "prj_{key_id}_' in said
    (rotate,) = commands("Rotate a key")
    assert '"revoked_at": "2' in shell(rotate.replace("0123456789abcdef", key_id))


def test_the_log_is_read(shell: Shell) -> None:
    (read,) = commands("Alarms")
    assert "events" in json.loads(shell(read))


def test_dead_letters_are_looked_at(shell: Shell, stack: Deployed) -> None:
    stack.aws("sqs").send_message(QueueUrl=stack.outputs["EventsDeadLettersUrl"], MessageBody="refused")
    look, _ = commands("Dead letters")
    assert json.loads(shell(look))["Messages"][0]["Body"] == "refused"


def test_a_lost_item_is_restored(shell: Shell, stack: Deployed) -> None:
    table, dynamodb = stack.outputs["TableName"], stack.aws("dynamodb")
    dynamodb.put_item(TableName=table, Item={"PK": {"S": "PROJECT#lost"}, "SK": {"S": "PROJECT"}})
    restore, *rest = commands("Restore")
    shell(restore)
    dynamodb.delete_item(TableName=table, Key={"PK": {"S": "PROJECT#lost"}, "SK": {"S": "PROJECT"}})
    said = shell(*rest)
    assert "restored PROJECT#lost PROJECT" in said
    assert "EMAIL#" not in said
    assert "Item" in dynamodb.get_item(TableName=table, Key={"PK": {"S": "PROJECT#lost"}, "SK": {"S": "PROJECT"}})


def test_nothing_is_left_when_the_stack_is_removed(shell: Shell, stack: Deployed) -> None:
    s3 = stack.aws("s3")
    for bucket in (stack.outputs["ArtifactsBucketName"], stack.outputs["ExportsBucketName"]):
        for key in ("a", "a", "b"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
        s3.delete_object(Bucket=bucket, Key="b")
    shell(*commands("Remove"))
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert not [name for name in buckets if name.startswith(f"{STACK}-")]
    assert stack.outputs["TableName"] not in stack.aws("dynamodb").list_tables()["TableNames"]
    assert not [
        one
        for one in stack.aws("cloudformation").list_stacks()["StackSummaries"]
        if one["StackName"] == STACK and one["StackStatus"] != "DELETE_COMPLETE"
    ]
