"""The stack of template.yaml, created in moto through CloudFormation."""

from __future__ import annotations

import ast
import copy
import io
import json
import os
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, cast

import boto3
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

from local.stack import ACCOUNT, REGION, STACK, Stack
from local.template import event_sources, function, functions, load_template, parameter, schedules

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import LifecycleRuleTypeDef

#: What moto's CloudFormation knows nothing of, so that it is created by calls, as the template says.
CALLED = {
    "AWS::CloudWatch::Alarm",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
}

#: What is not AWS's on one machine: the gateway is SAM CLI's, the pumps stand for event sources and schedules, and
#: functions are run from their folders, without versions, layers and leave.
ELSEWHERE = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
}


def deploy(parameters: dict[str, str]) -> Stack:
    """Creates what the template declares; AWS's endpoints and credentials are those of the environment.

    Where ``AWS_ENDPOINT_URL_DYNAMODB`` or ``AWS_ENDPOINT_URL_S3`` names another engine, the table and the buckets are
    created there.
    """
    declared = load_template()["Resources"]
    transformed = _transformed()
    _create(transformed, parameters)
    described = boto3.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    names = {one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for one in described}
    prepare_table(names["Table"])
    for bucket in ("ArtifactsBucket", "ExportsBucket"):
        _prepare_bucket(names[bucket], declared[bucket]["Properties"], parameters)
    return Stack(
        functions={name: function(name, names[name], one["Properties"]) for name, one in functions(declared)},
        sources=list(event_sources(declared, names, parameters)),
        schedules=list(schedules(declared, parameters)),
        table=names["Table"],
        bus=STACK,
        artifacts=names["ArtifactsBucket"],
        exports=names["ExportsBucket"],
    )


def _transformed() -> dict[str, Any]:
    """The template as CloudFormation's, with a stand-in for the code, which is run from its folders."""
    bucket, key = "deployment", "code.zip"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    s3 = boto3.client("s3", endpoint_url=_endpoint_of_moto("s3"))
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key=key, Body=code.getvalue())
    template = copy.deepcopy(load_template())
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & set(resource["Properties"]):
            resource["Properties"][name] = f"s3://{bucket}/{key}"
    result: dict[str, Any] = transform(template, {}, ManagedPolicyLoader(boto3.client("iam")))
    return result


def _create(template: dict[str, Any], parameters: dict[str, str]) -> None:
    """Creates the transformed template's resources.

    What is elsewhere is a parameter here, for those that refer to it. What is created by calls is said as an output,
    since moto resolves what stands there.
    """
    resources = template["Resources"]
    for resource in resources.values():
        resource["Properties"].pop("Layers", None)
    elsewhere = {name for name, resource in resources.items() if resource["Type"] in ELSEWHERE}
    called = {name: resource for name, resource in resources.items() if resource["Type"] in CALLED}
    body = template | {
        "Parameters": template["Parameters"]
        | {name: {"Type": "String", "Default": f"arn:aws:lambda:{REGION}:{ACCOUNT}:{name}"} for name in elsewhere},
        "Resources": {name: resources[name] for name in resources.keys() - elsewhere - called.keys()},
        "Outputs": {name: {"Value": resource["Properties"]} for name, resource in called.items()},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boto3.client("cloudformation").create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(body),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
    for name, properties in resolved_outputs().items():
        _call(name, called[name]["Type"], properties)


def resolved_outputs() -> dict[str, Any]:
    """The properties of what was created by calls."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: ast.literal_eval(output["OutputValue"]) for output in stack["Outputs"]}


def _call(name: str, type_: str, properties: dict[str, Any]) -> None:
    """Creates a resource that moto's CloudFormation does not know."""
    match type_:
        case "AWS::CloudWatch::Alarm":
            boto3.client("cloudwatch").put_metric_alarm(AlarmName=name, **properties)
        case "AWS::S3::BucketPolicy":
            pass  # it denies what does not come over TLS, and moto, which knows no such condition, would deny all
        case "AWS::SQS::QueuePolicy":
            for url in properties["Queues"]:
                policy = json.dumps(properties["PolicyDocument"])
                boto3.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        case "AWS::Scheduler::Schedule":
            boto3.client("scheduler").create_schedule(**properties)
        case _:
            raise KeyError(type_)


def _endpoint_of_moto(service: str) -> str:
    """Where moto serves, also where another engine is set: over HTTP, or in this process in AWS's place."""
    return os.environ.get("AWS_ENDPOINT_URL", f"https://{service}.{REGION}.amazonaws.com")


def prepare_table(name: str) -> None:
    """Sets what moto's CloudFormation leaves out, and creates the table where DynamoDB is another engine."""
    dynamodb = boto3.client("dynamodb")
    if "AWS_ENDPOINT_URL_DYNAMODB" in os.environ:
        moto = boto3.client("dynamodb", endpoint_url=_endpoint_of_moto("dynamodb"))
        made = moto.describe_table(TableName=name)["Table"]

        def indexes(kind: str) -> list[dict[str, Any]]:
            kept = ("IndexName", "KeySchema", "Projection")
            return [{key: index[key] for key in kept} for index in made[kind]]  # type: ignore[literal-required]  # of the two

        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=made["AttributeDefinitions"],
            KeySchema=made["KeySchema"],
            LocalSecondaryIndexes=indexes("LocalSecondaryIndexes"),  # type: ignore[arg-type]  # of dicts
            GlobalSecondaryIndexes=indexes("GlobalSecondaryIndexes"),  # type: ignore[arg-type]  # of dicts
            # moto keeps what its CloudFormation was given: a text
            DeletionProtectionEnabled=str(made.get("DeletionProtectionEnabled", False)).lower() == "true",
        )
    expiry = load_template()["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


def _prepare_bucket(name: str, properties: dict[str, Any], parameters: dict[str, str]) -> None:
    """Sets what moto's CloudFormation leaves out, and creates the bucket where S3 is another engine."""
    s3 = boto3.client("s3")
    if "AWS_ENDPOINT_URL_S3" in os.environ:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if "VersioningConfiguration" in properties:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])
    rules: list[LifecycleRuleTypeDef] = []
    for declared in properties["LifecycleConfiguration"]["Rules"]:
        rule = {name: value for name, value in declared.items() if name not in {"Id", "ExpirationInDays"}}
        if "ExpirationInDays" in declared:
            rule["Expiration"] = {"Days": int(parameter(declared["ExpirationInDays"]["Ref"], parameters))}
        rules.append(cast("LifecycleRuleTypeDef", rule | {"ID": declared["Id"], "Filter": {"Prefix": ""}}))
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
