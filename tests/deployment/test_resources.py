"""`sam deploy` creates every resource of the template, as the template says."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from local.stack import STACK
from local.template import load_template
from tests.support.aws_emulator import REFUSED, Deployed


def test_every_resource_is_created_and_none_beside(deployed: Deployed) -> None:
    declared = load_template()["Resources"].keys() - REFUSED.keys()
    transformed = deployed.template["Resources"].keys()
    assert declared - {"CoreLayer"} <= transformed  # the layer's name has a digest of what is in it
    assert {one["LogicalResourceId"] for one in deployed.described} == transformed
    assert {one["ResourceStatus"] for one in deployed.described} == {"CREATE_COMPLETE"}
    print(f"{len(transformed)} resources of {len({one['ResourceType'] for one in deployed.described})} types")


#: What its service says of a resource; it raises where there is none.
type Look = Callable[[Deployed, str, dict[str, Any]], Any]

LOOKS: dict[str, Look] = {
    "AWS::ApiGatewayV2::Api": lambda d, name, _: d.aws("apigatewayv2").get_api(ApiId=name),
    "AWS::ApiGatewayV2::Stage": lambda d, name, _: d.aws("apigatewayv2").get_stage(
        ApiId=d.names["Api"], StageName=name
    ),
    "AWS::CloudWatch::Alarm": lambda d, name, _: one(
        d.aws("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    ),
    "AWS::CloudWatch::Dashboard": lambda d, name, _: json.loads(
        d.aws("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    ),
    "AWS::DynamoDB::Table": lambda d, name, _: d.aws("dynamodb").describe_table(TableName=name),
    "AWS::Events::EventBus": lambda d, name, _: d.aws("events").describe_event_bus(Name=name),
    "AWS::Events::Rule": lambda d, name, _: d.aws("events").describe_rule(
        EventBusName=STACK, Name=name.rpartition("|")[2]
    ),
    "AWS::IAM::ManagedPolicy": lambda d, name, _: d.aws("iam").get_policy(PolicyArn=name),
    "AWS::IAM::Role": lambda d, name, _: d.aws("iam").get_role(RoleName=name),
    "AWS::Lambda::Alias": lambda d, name, _: d.aws("lambda").get_function(FunctionName=name),
    "AWS::Lambda::EventSourceMapping": lambda d, name, _: d.aws("lambda").get_event_source_mapping(UUID=name),
    "AWS::Lambda::Function": lambda d, name, _: d.aws("lambda").get_function(FunctionName=name),
    "AWS::Lambda::LayerVersion": lambda d, name, _: d.aws("lambda").get_layer_version_by_arn(Arn=name),
    "AWS::Lambda::Permission": lambda d, name, properties: one(
        statement
        for statement in json.loads(
            d.aws("lambda").get_policy(FunctionName=d.names[properties["FunctionName"]["Ref"]])["Policy"]
        )["Statement"]
        if statement["Sid"] == name
    ),
    "AWS::Lambda::Version": lambda d, name, _: d.aws("lambda").get_function(FunctionName=name),
    "AWS::Logs::LogGroup": lambda d, name, _: one(
        d.aws("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    ),
    "AWS::S3::Bucket": lambda d, name, _: d.aws("s3").head_bucket(Bucket=name),
    "AWS::S3::BucketPolicy": lambda d, _, properties: d.aws("s3").get_bucket_policy(
        Bucket=d.names[properties["Bucket"]["Ref"]]
    ),
    "AWS::SQS::Queue": lambda d, name, _: d.aws("sqs").get_queue_attributes(QueueUrl=name),
    "AWS::SQS::QueuePolicy": lambda d, _, properties: [
        d.aws("sqs").get_queue_attributes(QueueUrl=d.names[queue["Ref"]], AttributeNames=["Policy"])["Attributes"][
            "Policy"
        ]
        for queue in properties["Queues"]
    ],
    "AWS::Scheduler::Schedule": lambda d, name, _: d.aws("scheduler").get_schedule(Name=name),
}


def one(found: Any) -> Any:
    (only,) = found
    return only


def test_each_resource_is_known_to_its_service(deployed: Deployed) -> None:
    assert {one["ResourceType"] for one in deployed.described} == LOOKS.keys()
    for type_, look in LOOKS.items():
        for name, properties in deployed.of_type(type_).items():
            assert look(deployed, deployed.names[name], properties), name


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_left_out_is_what_the_emulator_refuses(deployed: Deployed, name: str) -> None:
    resource, client = load_template()["Resources"][name], deployed.aws("cloudformation")
    metrics = re.sub(
        r'\{"Ref": "(\w+)"\}', lambda found: f'"{found[1]}"', json.dumps(resource["Properties"]["Metrics"])
    )
    alarm = resource | {"Properties": {"Metrics": json.loads(metrics), "ComparisonOperator": "GreaterThanThreshold"}}
    client.create_stack(StackName=f"only-{name}", TemplateBody=json.dumps({"Resources": {name: alarm}}))
    with pytest.raises(WaiterError):
        client.get_waiter("stack_create_complete").wait(StackName=f"only-{name}", WaiterConfig={"Delay": 1})
    events = client.describe_stack_events(StackName=f"only-{name}")["StackEvents"]
    (failed,) = (event for event in events if event["ResourceStatus"] == "CREATE_FAILED")
    assert REFUSED[name] in failed["ResourceStatusReason"]


def test_every_function_is_called_by_its_alias_at_the_version_that_was_published(deployed: Deployed) -> None:
    client, (layer,) = deployed.aws("lambda"), deployed.of_type("AWS::Lambda::LayerVersion")
    for name, declared in deployed.of_type("AWS::Lambda::Function").items():
        function = deployed.names[name]
        alias = client.get_alias(FunctionName=function, Name="live")
        found = client.get_function_configuration(FunctionName=function, Qualifier=alias["FunctionVersion"])
        assert alias["FunctionVersion"] == "1"
        assert (found["Runtime"], found["Handler"]) == ("python3.13", "app.handler")
        assert found["Architectures"] == ["arm64"]
        assert (found["Timeout"], found["MemorySize"]) == (declared["Timeout"], declared["MemorySize"])
        assert [one["Arn"] for one in found["Layers"]] == [deployed.names[layer]]
        assert found["Role"].endswith(f"/{deployed.names[f'{name}Role']}")
        assert found["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": deployed.outputs["LogGroup"]}
        assert found["Environment"]["Variables"].keys() == declared["Environment"]["Variables"].keys()
        assert all(isinstance(value, str) and value for value in found["Environment"]["Variables"].values())


def test_the_workers_get_their_queues(deployed: Deployed) -> None:
    mappings = deployed.aws("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert {
        (one["EventSourceArn"].rpartition(":")[2], one["FunctionArn"], one["BatchSize"], *one["FunctionResponseTypes"])
        for one in mappings
    } == {
        (queue, deployed.names[f"{function}Aliaslive"], size, "ReportBatchItemFailures")
        for queue, function, size in (
            ("projects-events", "RecordResource", 10),
            ("projects-exports", "AssembleExport", 1),
            ("projects-purges", "PurgeProject", 1),
        )
    }


def test_the_schedules_call_their_functions(deployed: Deployed) -> None:
    for name, function, expression in (
        ("projects-schedule-exports", "ScheduleExports", "rate(1 day)"),
        ("projects-resume-stalled", "ResumeStalled", "rate(1 minute)"),
    ):
        found = deployed.aws("scheduler").get_schedule(Name=name)
        assert (found["ScheduleExpression"], found["State"]) == (expression, "ENABLED")
        assert found["Target"]["Arn"] == deployed.names[f"{function}Aliaslive"]
        assert found["Target"]["RoleArn"].endswith(f"/{deployed.names[f'{function}ScheduleRole']}")


def test_the_bus_feeds_the_events_queue(deployed: Deployed) -> None:
    rule = deployed.names["ResourceEvents"].rpartition("|")[2]
    (target,) = deployed.aws("events").list_targets_by_rule(EventBusName=STACK, Rule=rule)["Targets"]
    assert target["Arn"].endswith(":projects-events")
    assert target["DeadLetterConfig"]["Arn"].endswith(":projects-events-dead-letters")


def test_the_buckets_are_private_and_encrypted(deployed: Deployed) -> None:
    s3 = deployed.aws("s3")
    for bucket in (deployed.outputs["ArtifactsBucketName"], deployed.outputs["ExportsBucketName"]):
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        (owned,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        assert owned == {"ObjectOwnership": "BucketOwnerEnforced"}
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_versioning(Bucket=deployed.outputs["ArtifactsBucketName"])["Status"] == "Enabled"


def test_the_queues_hold_a_message_for_as_long_as_it_may_take(deployed: Deployed) -> None:
    for queue, seconds, receives in (("events", 180, 20), ("exports", 5400, 5), ("purges", 5400, 10)):
        url = deployed.aws("sqs").get_queue_url(QueueName=f"projects-{queue}")["QueueUrl"]
        found = deployed.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert found["VisibilityTimeout"] == str(seconds)
        redrive = json.loads(found["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"].endswith(f":projects-{queue}-dead-letters")
        assert redrive["maxReceiveCount"] == receives


def test_the_alarms_watch_what_was_created(deployed: Deployed) -> None:
    alarms = deployed.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    queues = {url.rpartition("/")[2] for name, url in deployed.names.items() if "Queue" in name or "Letters" in name}
    watched = {dimension["Name"]: set[str]() for alarm in alarms for dimension in alarm["Dimensions"]}
    for alarm in alarms:
        for dimension in alarm["Dimensions"]:
            watched[dimension["Name"]].add(dimension["Value"])
    assert watched["ApiId"] == {deployed.names["Api"]}
    assert len(watched["QueueName"]) == 6
    assert watched["QueueName"] <= queues


def test_the_logs_are_forgotten_as_the_configuration_says(deployed: Deployed) -> None:
    groups = deployed.aws("logs").describe_log_groups()["logGroups"]
    kept = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    assert kept[deployed.outputs["LogGroup"]] == kept[deployed.outputs["AccessLogGroup"]] == 90


def test_every_output_names_something(deployed: Deployed) -> None:
    assert deployed.outputs.keys() == load_template()["Outputs"].keys()
    for name, value in deployed.outputs.items():
        assert value, name
        assert "${" not in value, name
