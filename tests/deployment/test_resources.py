"""`sam deploy` creates every resource of the template, with the properties that the template declares."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from local.stack import STACK
from local.template import load_template
from tests.support.aws_emulator import CONDITIONAL, UNSUPPORTED, DeployedStack


def test_all_resources_are_created(deployed: DeployedStack) -> None:
    declared = load_template()["Resources"].keys() - UNSUPPORTED.keys() - set(CONDITIONAL)
    transformed = deployed.template["Resources"].keys()
    assert declared - {"CoreLayer"} <= transformed  # the name of the layer has a digest of its content
    assert {resource["LogicalResourceId"] for resource in deployed.resources} == transformed
    assert {resource["ResourceStatus"] for resource in deployed.resources} == {"CREATE_COMPLETE"}
    print(f"{len(transformed)} resources of {len({resource['ResourceType'] for resource in deployed.resources})} types")


#: Describes a resource of the stack, given its physical id and its properties. Raises an error if it does not exist.
type Describe = Callable[[DeployedStack, str, dict[str, Any]], Any]

DESCRIBERS: dict[str, Describe] = {
    "AWS::ApiGatewayV2::Api": lambda stack, name, _: stack.aws("apigatewayv2").get_api(ApiId=name),
    "AWS::ApiGatewayV2::Stage": lambda stack, name, _: stack.aws("apigatewayv2").get_stage(
        ApiId=stack.physical_ids["Api"], StageName=name
    ),
    "AWS::CloudWatch::Alarm": lambda stack, name, _: get_single(
        stack.aws("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    ),
    "AWS::CloudWatch::Dashboard": lambda stack, name, _: json.loads(
        stack.aws("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    ),
    "AWS::DynamoDB::Table": lambda stack, name, _: stack.aws("dynamodb").describe_table(TableName=name),
    "AWS::Events::EventBus": lambda stack, name, _: stack.aws("events").describe_event_bus(Name=name),
    "AWS::Events::Rule": lambda stack, name, _: stack.aws("events").describe_rule(
        EventBusName=STACK, Name=name.rpartition("|")[2]
    ),
    "AWS::IAM::ManagedPolicy": lambda stack, name, _: stack.aws("iam").get_policy(PolicyArn=name),
    "AWS::IAM::Role": lambda stack, name, _: stack.aws("iam").get_role(RoleName=name),
    "AWS::Lambda::Alias": lambda stack, name, _: stack.aws("lambda").get_function(FunctionName=name),
    "AWS::Lambda::EventInvokeConfig": lambda stack, _, properties: stack.aws("lambda").get_function_event_invoke_config(
        FunctionName=stack.physical_ids[properties["FunctionName"]["Ref"]], Qualifier=properties["Qualifier"]
    ),
    "AWS::Lambda::EventSourceMapping": lambda stack, name, _: stack.aws("lambda").get_event_source_mapping(UUID=name),
    "AWS::Lambda::Function": lambda stack, name, _: stack.aws("lambda").get_function(FunctionName=name),
    "AWS::Lambda::LayerVersion": lambda stack, name, _: stack.aws("lambda").get_layer_version_by_arn(Arn=name),
    "AWS::Lambda::Permission": lambda stack, name, properties: get_single(
        statement
        for statement in json.loads(
            stack.aws("lambda").get_policy(FunctionName=stack.physical_ids[properties["FunctionName"]["Ref"]])["Policy"]
        )["Statement"]
        if statement["Sid"] == name
    ),
    "AWS::Lambda::Version": lambda stack, name, _: stack.aws("lambda").get_function(FunctionName=name),
    "AWS::Logs::LogGroup": lambda stack, name, _: get_single(
        stack.aws("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    ),
    "AWS::S3::Bucket": lambda stack, name, _: stack.aws("s3").head_bucket(Bucket=name),
    "AWS::S3::BucketPolicy": lambda stack, _, properties: stack.aws("s3").get_bucket_policy(
        Bucket=stack.physical_ids[properties["Bucket"]["Ref"]]
    ),
    "AWS::SQS::Queue": lambda stack, name, _: stack.aws("sqs").get_queue_attributes(QueueUrl=name),
    "AWS::SQS::QueuePolicy": lambda stack, _, properties: [
        stack.aws("sqs").get_queue_attributes(QueueUrl=stack.physical_ids[queue["Ref"]], AttributeNames=["Policy"])[
            "Attributes"
        ]["Policy"]
        for queue in properties["Queues"]
    ],
    "AWS::Scheduler::Schedule": lambda stack, name, _: stack.aws("scheduler").get_schedule(Name=name),
}


def get_single(values: Any) -> Any:
    (value,) = values
    return value


def test_resources_exist(deployed: DeployedStack) -> None:
    assert {resource["ResourceType"] for resource in deployed.resources} == DESCRIBERS.keys()
    for type_, describe in DESCRIBERS.items():
        for name, properties in deployed.find_properties(type_).items():
            assert describe(deployed, deployed.physical_ids[name], properties), name


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_resources(deployed: DeployedStack, name: str) -> None:
    """The emulator still rejects the resources that the deployment leaves out."""
    resource, client = load_template()["Resources"][name], deployed.aws("cloudformation")
    metrics = re.sub(
        r'\{"Ref": "(\w+)"\}', lambda match: f'"{match[1]}"', json.dumps(resource["Properties"]["Metrics"])
    )
    alarm = resource | {"Properties": {"Metrics": json.loads(metrics), "ComparisonOperator": "GreaterThanThreshold"}}
    client.create_stack(StackName=f"only-{name}", TemplateBody=json.dumps({"Resources": {name: alarm}}))
    with pytest.raises(WaiterError):
        client.get_waiter("stack_create_complete").wait(StackName=f"only-{name}", WaiterConfig={"Delay": 1})
    events = client.describe_stack_events(StackName=f"only-{name}")["StackEvents"]
    (failed,) = (event for event in events if event["ResourceStatus"] == "CREATE_FAILED")
    assert UNSUPPORTED[name] in failed["ResourceStatusReason"]


def test_functions(deployed: DeployedStack) -> None:
    client, (layer_name,) = deployed.aws("lambda"), deployed.find_properties("AWS::Lambda::LayerVersion")
    for name, declared in deployed.find_properties("AWS::Lambda::Function").items():
        function = deployed.physical_ids[name]
        alias = client.get_alias(FunctionName=function, Name="live")
        configuration = client.get_function_configuration(FunctionName=function, Qualifier=alias["FunctionVersion"])
        assert alias["FunctionVersion"] == "1"
        assert (configuration["Runtime"], configuration["Handler"]) == ("python3.13", "app.handler")
        assert configuration["Architectures"] == ["arm64"]
        assert (configuration["Timeout"], configuration["MemorySize"]) == (declared["Timeout"], declared["MemorySize"])
        assert [layer["Arn"] for layer in configuration["Layers"]] == [deployed.physical_ids[layer_name]]
        assert configuration["Role"].endswith(f"/{deployed.physical_ids[f'{name}Role']}")
        assert configuration["LoggingConfig"] == {
            "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": deployed.outputs["LogGroup"],
        }  # fmt: skip
        assert configuration["Environment"]["Variables"].keys() == declared["Environment"]["Variables"].keys()
        assert all(isinstance(value, str) and value for value in configuration["Environment"]["Variables"].values())


def test_event_sources(deployed: DeployedStack) -> None:
    mappings = deployed.aws("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert {
        (
            mapping["EventSourceArn"].rpartition(":")[2],
            mapping["FunctionArn"],
            mapping["BatchSize"],
            *mapping["FunctionResponseTypes"],
        )
        for mapping in mappings
    } == {
        (queue, deployed.physical_ids[f"{function}Aliaslive"], size, "ReportBatchItemFailures")
        for queue, function, size in (
            ("projects-events", "RecordResource", 10),
            ("projects-exports", "AssembleExport", 1),
            ("projects-purges", "PurgeProject", 1),
            ("projects-imports", "RunImport", 1),
        )
    }


def test_schedules(deployed: DeployedStack) -> None:
    for function, expression in (("ScheduleExports", "rate(1 day)"), ("ResumeStalled", "rate(1 minute)")):
        name = deployed.physical_ids[f"{function}Schedule"]
        schedule = deployed.aws("scheduler").get_schedule(Name=name)
        assert (schedule["ScheduleExpression"], schedule["State"]) == (expression, "ENABLED")
        assert schedule["Target"]["Arn"] == deployed.physical_ids[f"{function}Aliaslive"]
        assert schedule["Target"]["RoleArn"].endswith(f"/{deployed.physical_ids[f'{function}ScheduleRole']}")


def test_bus_rule(deployed: DeployedStack) -> None:
    rule = deployed.physical_ids["ResourceEvents"].rpartition("|")[2]
    (target,) = deployed.aws("events").list_targets_by_rule(EventBusName=STACK, Rule=rule)["Targets"]
    assert target["Arn"].endswith(":projects-events")
    assert target["DeadLetterConfig"]["Arn"].endswith(":projects-events-dead-letters")


def test_buckets_are_private_and_encrypted(deployed: DeployedStack) -> None:
    s3 = deployed.aws("s3")
    for bucket in (deployed.outputs["ArtifactsBucketName"], deployed.outputs["ExportsBucketName"]):
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        (ownership,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        assert ownership == {"ObjectOwnership": "BucketOwnerEnforced"}
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_versioning(Bucket=deployed.outputs["ArtifactsBucketName"])["Status"] == "Enabled"


def test_queue_attributes(deployed: DeployedStack) -> None:
    for queue, seconds, receives in (("events", 180, 20), ("exports", 5400, 5), ("purges", 5400, 10)):
        url = deployed.aws("sqs").get_queue_url(QueueName=f"projects-{queue}")["QueueUrl"]
        attributes = deployed.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["VisibilityTimeout"] == str(seconds)
        redrive = json.loads(attributes["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"].endswith(f":projects-{queue}-dead-letters")
        assert redrive["maxReceiveCount"] == receives


def test_alarm_dimensions(deployed: DeployedStack) -> None:
    alarms = deployed.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    queues = {deployed.physical_ids[name].rpartition("/")[2] for name in deployed.find_properties("AWS::SQS::Queue")}
    watched = {dimension["Name"]: set[str]() for alarm in alarms for dimension in alarm["Dimensions"]}
    for alarm in alarms:
        for dimension in alarm["Dimensions"]:
            watched[dimension["Name"]].add(dimension["Value"])
    assert watched["ApiId"] == {deployed.physical_ids["Api"]}
    assert watched["QueueName"] == queues


def test_log_retention(deployed: DeployedStack) -> None:
    groups = deployed.aws("logs").describe_log_groups()["logGroups"]
    retention = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    assert retention[deployed.outputs["LogGroup"]] == retention[deployed.outputs["AccessLogGroup"]] == 90


def test_outputs_have_values(deployed: DeployedStack) -> None:
    assert deployed.outputs.keys() == load_template()["Outputs"].keys()
    for name, value in deployed.outputs.items():
        assert value, name
        assert "${" not in value, name
