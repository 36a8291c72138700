"""Rules of template.yaml that no emulator checks, because only AWS applies them."""

import copy
import json
import re
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from samcli.cli.types import CfnParameterOverridesType
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

from local.stack import REGION, ROOT
from local.template import function_resources, load_template
from scripts import stamp_versions
from scripts.stamp_versions import parse_overrides, stamp

TEMPLATE = load_template()
FUNCTIONS = dict(function_resources(TEMPLATE["Resources"]))

#: The longest name of a schedule, in characters (EventBridge Scheduler API reference, "CreateSchedule").
MAX_SCHEDULE_NAME = 64

#: The longest names of a queue and of a function, in characters (SQS and Lambda API references).
MAX_QUEUE_NAME = 80
MAX_FUNCTION_NAME = 64

#: The functions that a new account runs at a time (Lambda developer guide, "Lambda quotas"), and those that a request
#: needs: the authorizer and the route's function.
NEW_ACCOUNT_CONCURRENCY = 10
CONCURRENCY_OF_A_REQUEST = 2

#: The suffix that CloudFormation gives the name of a function.
SUFFIX = "-1GRP3N0TVA1LD"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a build with one file in each function and in the layer."""
    folder = tmp_path_factory.mktemp("build")
    for name in (*FUNCTIONS, "CoreLayer"):
        (folder / name).mkdir()
        (folder / name / "app.py").write_text(name)
    return folder


def stamp_functions(build: Path, *overrides: str) -> dict[str, str]:
    """Return the digest of each function in a build with these parameters."""
    template = copy.deepcopy(TEMPLATE)
    for name in FUNCTIONS:
        template["Resources"][name]["Properties"]["CodeUri"] = name
    stamp(template, build, parse_overrides(overrides))
    return {name: template["Resources"][name]["Properties"]["AutoPublishCodeSha256"] for name in FUNCTIONS}


def test_stamp_changes_with_parameter(build: Path) -> None:
    """Every function gets a new digest when any parameter changes, and keeps it otherwise."""
    before = stamp_functions(build)
    assert stamp_functions(build) == before
    for name in TEMPLATE["Parameters"]:
        after = stamp_functions(build, f"{name}=another")
        assert all(after[function] != before[function] for function in FUNCTIONS), name


def test_stamp_changes_with_code(build: Path) -> None:
    """New code changes the digest of its function alone, and a new layer that of every function."""
    before = stamp_functions(build)
    app = build / "GetProject" / "app.py"
    app.write_text("new")
    after = stamp_functions(build)
    assert [name for name in FUNCTIONS if after[name] != before[name]] == ["GetProject"]
    (build / "CoreLayer" / "app.py").write_text("new")
    assert not set(stamp_functions(build).values()) & set(after.values())


def write_parameters(monkeypatch: pytest.MonkeyPatch, build: Path, *arguments: str) -> Any:
    """Run the script on a build, and return the parameters as `sam deploy` reads them from the written file."""
    (build / "template.yaml").write_text(json.dumps({"Parameters": TEMPLATE["Parameters"], "Resources": {}}))
    monkeypatch.setattr(stamp_versions, "BUILD", build)
    monkeypatch.setattr("sys.argv", ["stamp_versions.py", *arguments])
    monkeypatch.chdir(ROOT)
    stamp_versions.main()
    return CfnParameterOverridesType().convert([f"file://{build}/parameters.yaml"], None, None)


def test_parameters_of_deployment(monkeypatch: pytest.MonkeyPatch, build: Path) -> None:
    """A parameter may contain blanks, may be empty, and replaces that of samconfig.toml."""
    given = "ExportSchedule=cron(0 2 * * ? *)  LogLevel=ERROR SiblingAccounts=111122223333,444455556666 CorsOrigins="
    parameters = write_parameters(monkeypatch, build, "--config-env", "dev", given)
    assert parameters["ExportSchedule"] == "cron(0 2 * * ? *)"
    assert (parameters["LogLevel"], parameters["CorsOrigins"]) == ("ERROR", "")
    assert parameters["SiblingAccounts"] == "111122223333,444455556666"
    assert parameters["DeletionProtection"] == "false"
    assert write_parameters(monkeypatch, build, "").keys() == {
        "LogRetentionDays",
        "PointInTimeRecovery",
        "DeletionProtection",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config-env", "staging"], "samconfig.toml has no stage 'staging'. Its stages are dev, prod."),
        (["LogLevl=DEBUG"], "template.yaml has no parameter 'LogLevl'. Is 'LogLevel' meant?"),
        (["LogLevel DEBUG"], "'LogLevel DEBUG' is no parameter. Write NAME=VALUE."),
    ],
)
def test_invalid_parameters_of_deployment(
    monkeypatch: pytest.MonkeyPatch, build: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=f"^{re.escape(message)}$"):
        write_parameters(monkeypatch, build, *arguments)


def test_deployment_needs_stage() -> None:
    """`make deploy` builds and deploys nothing unless somebody names the stage."""
    result = subprocess.run(
        ["make", "--no-print-directory", "deploy", "STAGE="], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "Name the stage: make deploy STAGE=dev, or STAGE=prod.\n")


def transform_template(digest: str | None) -> dict[str, Any]:
    template = copy.deepcopy(TEMPLATE)
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & set(resource["Properties"]):
            resource["Properties"][name] = "s3://bucket/key"
        if digest and resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["AutoPublishCodeSha256"] = digest
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)  # SAM looks for it
        result: dict[str, Any] = transform(template, {}, ManagedPolicyLoader(boto3.client("iam")))
    return result["Resources"]  # type: ignore[no-any-return]  # JSON


@pytest.fixture(scope="module")
def transformed() -> dict[str, Any]:
    return transform_template(None)


def find_versions(resources: dict[str, Any]) -> set[str]:
    return {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Version"}


def test_stamp_publishes_versions(transformed: dict[str, Any]) -> None:
    """A new digest publishes a new version of every function."""
    first, second = (find_versions(transform_template(digit * 64)) for digit in "ab")
    assert len(first) == len(second) == len(FUNCTIONS) == len(find_versions(transformed))
    assert not first & second


def test_key_policies_cover_roles(transformed: dict[str, Any]) -> None:
    """The policies for customer-managed KMS keys are attached to every role that uses the table or objects."""
    uses = {"TableKeyPolicy": ("dynamodb:",), "BucketKeysPolicy": ("s3:GetObject", "s3:PutObject")}
    for policy, actions in uses.items():
        expected = {
            name
            for name, role in transformed.items()
            if role["Type"] == "AWS::IAM::Role"
            for document in role["Properties"].get("Policies", [])
            for statement in document["PolicyDocument"]["Statement"]
            for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
            if action.startswith(actions)
        }
        attached = {reference["Ref"] for reference in transformed[policy]["Properties"]["Roles"]}
        assert attached == expected, policy


def test_roles_have_boundary(transformed: dict[str, Any]) -> None:
    """Every role, the scheduler's included, has the boundary."""
    roles = {name: role for name, role in transformed.items() if role["Type"] == "AWS::IAM::Role"}
    assert len(roles) > len(FUNCTIONS)
    assert {str(role["Properties"].get("PermissionsBoundary")) for role in roles.values()} == {"{'Ref': 'Boundary'}"}


def test_scheduler_role_trusts_this_account(transformed: dict[str, Any]) -> None:
    """The scheduler assumes its role on behalf of this account only."""
    schedules = [schedule for schedule in transformed.values() if schedule["Type"] == "AWS::Scheduler::Schedule"]
    roles = [schedule["Properties"]["Target"]["RoleArn"]["Fn::GetAtt"][0] for schedule in schedules]
    assert len(set(roles)) == len(schedules)
    for role in roles:
        (statement,) = transformed[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_schedules_bound_attempts(transformed: dict[str, Any]) -> None:
    """Scheduler invokes asynchronously: Lambda's own attempts are few, and a failed daily job leaves a message."""
    configs = {
        config["Properties"]["FunctionName"]["Ref"]: config["Properties"]
        for config in transformed.values()
        if config["Type"] == "AWS::Lambda::EventInvokeConfig"
    }
    assert set(configs) == {
        name for name, function in FUNCTIONS.items() if "Schedule" in function["Properties"].get("Events", {})
    }
    for config in configs.values():
        assert config["MaximumRetryAttempts"] <= 1
        assert config["MaximumEventAgeInSeconds"] <= 3600
    assert configs["ScheduleExports"]["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]
    }
    alarm = TEMPLATE["Resources"]["ScheduleDeadLettersAlarm"]["Properties"]
    assert (alarm["EvaluationPeriods"], alarm["Threshold"], alarm["MetricName"]) == (
        1, 0, "ApproximateNumberOfMessagesVisible",
    )  # fmt: skip


def test_functions_that_send_to_their_own_queue_may_recur() -> None:
    """Lambda stops recursive loops after 16 rounds unless a function allows them."""
    queues = {
        source["Properties"]["FunctionName"]["Ref"].removesuffix(".Alias"): source["Properties"]["EventSourceArn"]
        for source in TEMPLATE["Resources"].values()
        if source["Type"] == "AWS::Lambda::EventSourceMapping"
    }
    recursive = {
        name
        for name, queue in queues.items()
        for policy in FUNCTIONS[name]["Properties"]["Policies"]
        for statement in policy["Statement"]
        if "sqs:SendMessage" in statement["Action"] and queue in [statement["Resource"], *statement["Resource"]]
    }
    assert recursive
    assert recursive == {name for name, function in FUNCTIONS.items() if "RecursiveLoop" in function["Properties"]}


def test_stacks_share_no_metrics() -> None:
    """Metrics, alarms and the dashboard name the stack."""
    stack = {"Ref": "AWS::StackName"}
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == stack
    text = str(TEMPLATE["Resources"])
    dimensions = re.findall(r"'Namespace': 'ProjectsApi'.*?'Dimensions': (\[.*?\])", text)
    assert dimensions
    assert set(dimensions) == {str([{"Name": "service", "Value": stack}])}
    assert (
        'service=\\"${AWS::StackName}\\"'
        in TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    )


def test_metrics_pass_log_level() -> None:
    """Lambda takes a metric for a line of level INFO, and must not drop it."""
    level = TEMPLATE["Globals"]["Function"]["LoggingConfig"]["ApplicationLogLevel"]
    assert level == {"Fn::If": ["LogsDebug", "DEBUG", "INFO"]}


def test_schedule_names_fit() -> None:
    """Names of schedules do not contain the stack's name, which can be twice as long as they may be."""
    for function in FUNCTIONS.values():
        for event in function["Properties"].get("Events", {}).values():
            if event["Type"] == "ScheduleV2":
                text, values = event["Properties"]["Name"]["Fn::Sub"]
                assert set(values) == {"Id"}
                assert len(text.replace("${Id}", "0" * 36)) <= MAX_SCHEDULE_NAME


def test_names_of_stacks() -> None:
    """docs/how-to/deploy.md states from which length on the stack's name no longer fits into other names."""
    names = [
        resource["Properties"]["QueueName"]["Fn::Sub"].removeprefix("${AWS::StackName}")
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] == "AWS::SQS::Queue"
    ]
    assert not any("$" in name for name in names)
    for_queues = MAX_QUEUE_NAME - max(map(len, names))
    for_functions = MAX_FUNCTION_NAME - max(len(f"-{name}{SUFFIX}") for name in FUNCTIONS)
    page = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    assert f"The name of a stack may have up to {for_queues} characters" in page
    assert f"From {for_functions + 1} characters on" in page


def test_boundary_permits_schedules_of_long_stacks() -> None:
    """CloudFormation shortens the name of the stack in that of a function, as in convox/rack#2297."""
    (resources,) = (
        [resource["Fn::Sub"].rpartition(":")[2] for resource in statement["Resource"]]
        for statement in TEMPLATE["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    )
    scheduled = {
        name
        for name, function in FUNCTIONS.items()
        if any(event["Type"] == "ScheduleV2" for event in function["Properties"].get("Events", {}).values())
    }
    assert len(resources) == len(scheduled)
    for name in scheduled:
        for stack in ("projects", "projects-api-of-the-platf"):
            assert any(fnmatchcase(f"{stack}-{name}{SUFFIX}", resource) for resource in resources)


def test_rollback_leaves_protected_table() -> None:
    """CloudFormation does not try to delete a table that deletion protection keeps."""
    assert TEMPLATE["Resources"]["Table"]["DeletionPolicy"] == "Retain"
    assert TEMPLATE["Resources"]["Api"]["Properties"]["FailOnWarnings"] is False


def holds(condition: Any, parameters: dict[str, Any]) -> bool:
    """Return whether a condition of the template is true."""
    match condition:
        case {"Fn::Not": [negated]}:
            return not holds(negated, parameters)
        case {"Fn::Or": conditions}:
            return any(holds(part, parameters) for part in conditions)
        case {"Fn::Equals": [{"Ref": name} | {"Fn::Join": ["", {"Ref": name}]}, value]}:
            return bool(parameters[name] == value)
        case {"Condition": name}:
            return holds(TEMPLATE["Conditions"][name], parameters)
    raise NotImplementedError(condition)


def resolve(value: Any, parameters: dict[str, Any]) -> Any:
    """Return a part of the template with its parameters and conditions resolved."""
    match value:
        case {"Fn::If": [name, if_true, if_false]}:
            return resolve(if_true if holds({"Condition": name}, parameters) else if_false, parameters)
        case {"Ref": name} if name in parameters:
            return parameters[name]
        case dict():
            resolved = {name: resolve(item, parameters) for name, item in value.items()}
            return {name: item for name, item in resolved.items() if item != {"Ref": "AWS::NoValue"}}
        case list():
            return [resolve(item, parameters) for item in value]
    return value


def get_parameters(**changed: str) -> dict[str, Any]:
    return {name: parameter.get("Default") for name, parameter in TEMPLATE["Parameters"].items()} | changed


def test_no_key_costs_anything_by_default() -> None:
    """The table, the buckets and the queues are encrypted with keys of AWS that are free.

    DynamoDB's `SSEEnabled: true` alone would use the key `aws/dynamodb`, whose requests KMS charges
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html).
    """
    parameters = get_parameters()
    for name, resource in TEMPLATE["Resources"].items():
        if "Condition" in resource and not holds(resource, parameters):
            continue
        properties = resolve(resource["Properties"], parameters)
        assert "SSESpecification" not in properties, name
        if resource["Type"] == "AWS::S3::Bucket":
            assert _bucket_encryption(properties) == {"SSEAlgorithm": "AES256"}
        if resource["Type"] == "AWS::SQS::Queue":
            assert properties["SqsManagedSseEnabled"] is True
        assert not re.search("kmsmasterkeyid", str(properties), re.IGNORECASE), name


def test_own_keys_by_parameter() -> None:
    """With a key of the customer, the table or both buckets are encrypted with it."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    table = resolve(TEMPLATE["Resources"]["Table"]["Properties"], get_parameters(TableKeyArn=key))
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    parameters = get_parameters(BucketKeyArn=key)
    buckets = [
        resolve(resource["Properties"], parameters)
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] == "AWS::S3::Bucket"
    ]
    assert [_bucket_encryption(bucket) for bucket in buckets] == [
        {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    ] * 2
    assert "SSESpecification" not in resolve(TEMPLATE["Resources"]["Table"]["Properties"], parameters)


def _bucket_encryption(bucket: dict[str, Any]) -> Any:
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return rule["ServerSideEncryptionByDefault"]


def test_dev_fits_into_a_new_account() -> None:
    """The workers leave room for requests, and nothing is reserved: Lambda would refuse the deployment.

    Reserved concurrency has to leave 100 executions to all other functions
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html).
    """
    overrides = tomllib.loads((ROOT / "samconfig.toml").read_text())["dev"]["deploy"]["parameters"][
        "parameter_overrides"
    ]
    parameters = get_parameters(**dict(override.split("=", 1) for override in overrides))
    resources = resolve(TEMPLATE["Resources"], parameters)
    sources = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::EventSourceMapping"
    ]
    workers = sum(int(source["ScalingConfig"]["MaximumConcurrency"]) for source in sources)
    assert workers + CONCURRENCY_OF_A_REQUEST <= NEW_ACCOUNT_CONCURRENCY
    assert not any("ReservedConcurrentExecutions" in resources[name]["Properties"] for name in FUNCTIONS)
    assert not any("ProvisionedConcurrencyConfig" in resources[name]["Properties"] for name in FUNCTIONS)
