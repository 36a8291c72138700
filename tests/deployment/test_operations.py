"""The operators' commands in docs/how-to, run unchanged against the emulator."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.stack import ROOT, STACK
from tests.support.aws_emulator import PYTHON, UNSUPPORTED, DeployedStack, start_emulator

PAGES = "\n".join(
    (ROOT / "docs" / "how-to" / f"{name}.md").read_text()
    for name in (
        "deploy",
        "manage-users-and-keys",
        "offboard-a-user",
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
    """Return the blocks of commands of a section, with those of its subsections."""
    match = re.search(rf"\n(##+) {section}\n", PAGES)
    assert match
    text = re.split(rf"\n#{{1,{len(match[1])}}} ", PAGES[match.end() :], maxsplit=1)[0]
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
    assert re.search(
        rf'"email": "ada@example.com".*"key_id": "{key_id}"', shell(*read_commands("List users and keys")), re.DOTALL
    )
    (rotate,) = read_commands("Rotate a key")
    assert '"revoked_at": "2' in shell(rotate.replace("0123456789abcdef", key_id))


def test_rejected_event(shell: Shell) -> None:
    """The result names the field, and the command fails, unlike that of the AWS CLI."""
    output = shell('invoke RegisterUserFunction \'{"email": "ada@example.com"}\' && echo accepted || echo rejected')
    assert "'name' is required." in output
    assert output.endswith("rejected\n")


def test_offboard_user(shell: Shell, stack: DeployedStack, tmp_path: Path) -> None:
    ada, bob = (
        stack.invoke("RegisterUserFunction", {"email": f"{name}@example.com", "name": name}) for name in ("ada", "bob")
    )
    stack.invoke("CreateApiKeyFunction", {"email": "ada@example.com", "scopes": ["read"]})
    event = json.loads((ROOT / "events" / "create_project" / "name_and_description.json").read_text())
    event["requestContext"]["authorizer"]["lambda"] |= {"user_id": ada["user_id"], "email": ada["email"]}
    created = stack.aws("lambda").invoke(FunctionName=stack.physical_ids["CreateProject"], Payload=json.dumps(event))
    project_id = json.loads(json.loads(created["Payload"].read())["body"])["project_id"]
    output = shell(f"cd {tmp_path}", *read_commands("Without the command line"))
    assert json.loads((tmp_path / "ada.json").read_text())["owned_project_ids"] == [project_id]
    transferred, deactivated, keys = map(json.loads, output.splitlines())
    assert (transferred["project_id"], transferred["owner"]["user_id"]) == (project_id, bob["user_id"])
    assert (deactivated["owned_project_ids"], deactivated["member_project_ids"]) == ([], [])
    assert deactivated["deactivated_at"]
    assert all(key["revoked_at"] for key in keys["items"])


def test_read_logs(shell: Shell) -> None:
    assert shell(*read_commands("Read the logs")).count('"events"') == 3


def test_find_overdue_work(shell: Shell, stack: DeployedStack) -> None:
    """The columns name the deleted project, and not the one that waits for the schedule."""
    table, dynamodb = stack.outputs["TableName"], stack.aws("dynamodb")
    for kind, due_at in (("PURGE#0", "2026-01-01T00:00:00.000000Z"), ("DUE#0", "2026-01-01T00:00:00.000000Z")):
        names = {"PK": f"PROJECT#{kind}", "SK": "PROJECT", "pending_work": kind, "due_at": due_at}
        dynamodb.put_item(TableName=table, Item={name: {"S": value} for name, value in names.items()})
    (find,) = read_commands("Find overdue work")
    assert shell(find).split() == ["PURGE#0", "2026-01-01T00:00:00.000000Z", "PROJECT#PURGE#0", "PROJECT"]


def test_read_dead_letters(shell: Shell, stack: DeployedStack) -> None:
    stack.aws("sqs").send_message(QueueUrl=stack.outputs["EventsDeadLettersUrl"], MessageBody="rejected")
    receive, _, discard = read_commands("Dead letters")
    assert json.loads(shell(receive))["Messages"][0]["Body"] == "rejected"
    assert shell(discard, receive) == ""


def test_run_failed_schedule_again(shell: Shell) -> None:
    assert '"failed": 0' in shell(*read_commands("Failed schedules"))


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


def test_delete_table_of_failed_deployment(stack: DeployedStack) -> None:
    """The table remains of a stack that does not exist any more."""
    dynamodb, name = stack.aws("dynamodb"), "projects-Table-1GRP3N0TVA1LD"
    key = {"AttributeName": "PK", "AttributeType": "S"}
    schema = [{"AttributeName": "PK", "KeyType": "HASH"}]
    dynamodb.create_table(TableName=name, AttributeDefinitions=[key], KeySchema=schema, BillingMode="PAY_PER_REQUEST")
    look, delete = read_commands("If the first deployment fails")
    environment = stack.emulator.environment
    assert run_bash(f"STACK={STACK}\n{look}", environment) == f"{name}\n[]\n"
    run_bash(f"ORPHAN={name}\n{delete}", environment)
    assert name not in dynamodb.list_tables()["TableNames"]
