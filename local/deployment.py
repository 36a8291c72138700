"""Deployment of template.yaml to moto through CloudFormation.

SAM's own translator turns the template into plain CloudFormation. moto's CloudFormation creates most resources. This
module creates the types that moto's CloudFormation does not support by API calls, and sets the properties that it
ignores.
"""

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
from local.template import (
    function_resources,
    load_template,
    parameter_value,
    read_event_sources,
    read_function,
    read_schedules,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleTypeDef

#: Resource types that moto's CloudFormation does not support. They are created by API calls instead.
CREATED_BY_CALLS = {
    "AWS::CloudWatch::Alarm",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
}

#: Resource types that are not created at all. SAM CLI's gateway replaces the API and the queue pollers replace event
#: source mappings. Functions run from their folders, without layers, versions, aliases and permissions to invoke them.
NOT_CREATED = {
    "AWS::Events::EventBusPolicy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
}


def deploy(parameters: dict[str, str]) -> Stack:
    """Create the resources of the template.

    The endpoint and the credentials of AWS are those of the environment. If ``AWS_ENDPOINT_URL_DYNAMODB`` or
    ``AWS_ENDPOINT_URL_S3`` is set, the table or the buckets are created at that endpoint.

    Args:
        parameters: The template parameters that differ from their defaults.
    """
    resources = load_template()["Resources"]
    _create_resources(_transform_template(), parameters)
    descriptions = boto3.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    physical_ids = {
        resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
        for resource in descriptions
        if "LogicalResourceId" in resource  # moto describes a resource whose condition is false by an empty entry
    }
    prepare_table(physical_ids["Table"])
    for bucket in ("ArtifactsBucket", "ExportsBucket"):
        _prepare_bucket(physical_ids[bucket], resources[bucket]["Properties"], parameters)
    lambda_client = boto3.client("lambda")
    return Stack(
        functions={
            name: read_function(lambda_client, name, physical_ids[name], resource["Properties"])
            for name, resource in function_resources(resources)
        },
        event_sources=list(read_event_sources(resources, physical_ids, parameters)),
        schedules=list(read_schedules(resources, parameters)),
        table=physical_ids["Table"],
        bus=STACK,
        artifacts=physical_ids["ArtifactsBucket"],
        exports=physical_ids["ExportsBucket"],
    )


def read_resolved_properties() -> dict[str, Any]:
    """Return the properties of the resources created by calls, by logical id, with their references resolved."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {
        output["OutputKey"]: _remove_no_values(ast.literal_eval(output["OutputValue"]))
        for output in stack["Outputs"]
        if output["OutputKey"] not in load_template()["Outputs"]
    }


def _remove_no_values(value: Any) -> Any:
    """Return ``value`` without the list items that moto resolves ``AWS::NoValue`` to."""
    match value:
        case dict():
            return {name: _remove_no_values(item) for name, item in value.items()}
        case list():
            return [_remove_no_values(item) for item in value if item is not None]
    return value


def prepare_table(name: str) -> None:
    """Set the time to live, which moto's CloudFormation ignores.

    With another DynamoDB engine, create the table there first, as moto describes it.
    """
    dynamodb = boto3.client("dynamodb")
    if "AWS_ENDPOINT_URL_DYNAMODB" in os.environ:
        moto = boto3.client("dynamodb", endpoint_url=_moto_endpoint("dynamodb"))
        table = moto.describe_table(TableName=name)["Table"]

        def describe_indexes(kind: str) -> list[dict[str, Any]]:
            keys = ("IndexName", "KeySchema", "Projection")
            return [{key: index[key] for key in keys} for index in table[kind]]  # type: ignore[literal-required]  # either kind of index

        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=table["AttributeDefinitions"],
            KeySchema=table["KeySchema"],
            LocalSecondaryIndexes=describe_indexes("LocalSecondaryIndexes"),  # type: ignore[arg-type]  # plain dicts
            GlobalSecondaryIndexes=describe_indexes("GlobalSecondaryIndexes"),  # type: ignore[arg-type]  # plain dicts
            # moto returns the value as its CloudFormation received it: as a string
            DeletionProtectionEnabled=str(table.get("DeletionProtectionEnabled", False)).lower() == "true",
        )
    time_to_live = load_template()["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=time_to_live)


def _transform_template() -> dict[str, Any]:
    """Return the template as plain CloudFormation, with an empty ZIP file as the code of functions and layers."""
    bucket, key = "deployment", "code.zip"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    s3 = boto3.client("s3", endpoint_url=_moto_endpoint("s3"))
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key=key, Body=code.getvalue())
    template = copy.deepcopy(load_template())
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & set(resource["Properties"]):
            resource["Properties"][name] = f"s3://{bucket}/{key}"
    transformed: dict[str, Any] = transform(template, {}, ManagedPolicyLoader(boto3.client("iam")))
    return transformed


def _create_resources(template: dict[str, Any], parameters: dict[str, str]) -> None:
    """Create the resources of the transformed template.

    Resources that are not created become parameters, because others refer to them. The properties of resources created
    by calls become further outputs, because moto resolves the references in outputs.
    """
    resources = template["Resources"]
    for resource in resources.values():
        resource["Properties"].pop("Layers", None)
    not_created = {name for name, resource in resources.items() if resource["Type"] in NOT_CREATED}
    created_by_calls = {name: resource for name, resource in resources.items() if resource["Type"] in CREATED_BY_CALLS}
    body = template | {
        "Parameters": template["Parameters"]
        | {name: {"Type": "String", "Default": f"arn:aws:lambda:{REGION}:{ACCOUNT}:{name}"} for name in not_created},
        "Resources": {name: resources[name] for name in resources.keys() - not_created - created_by_calls.keys()},
        "Outputs": {name: output for name, output in template["Outputs"].items() if name != "ApiUrl"}
        | {name: {"Value": resource["Properties"]} for name, resource in created_by_calls.items()},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boto3.client("cloudformation").create_stack(
            StackName=STACK,
            # moto parses templates as YAML, which takes seconds, and as JSON only if YAML forbids them: it forbids tabs
            TemplateBody=json.dumps(body, indent="\t"),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
    for name, properties in read_resolved_properties().items():
        _create_by_call(name, created_by_calls[name]["Type"], properties)


def _create_by_call(name: str, type_: str, properties: dict[str, Any]) -> None:
    """Create a resource of a type that moto's CloudFormation does not support."""
    match type_:
        case "AWS::CloudWatch::Alarm":
            boto3.client("cloudwatch").put_metric_alarm(AlarmName=name, **properties)
        case "AWS::S3::BucketPolicy":
            pass  # it denies requests without TLS; moto does not know that condition and would deny all requests
        case "AWS::SQS::QueuePolicy":
            for url in properties["Queues"]:
                policy = json.dumps(properties["PolicyDocument"])
                boto3.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        case "AWS::Scheduler::Schedule":
            boto3.client("scheduler").create_schedule(**properties)
        case _:
            raise KeyError(type_)


def _moto_endpoint(service: str) -> str:
    """Return the endpoint of moto, even if the service has another engine.

    That is ``AWS_ENDPOINT_URL`` for moto's server. In-process moto intercepts requests to AWS's own endpoint.
    """
    return os.environ.get("AWS_ENDPOINT_URL", f"https://{service}.{REGION}.amazonaws.com")


def _cors_rule(properties: dict[str, Any]) -> CORSRuleTypeDef:
    """Return the CORS rule of a bucket, for web pages of any origin."""
    (declared_rule,) = properties["CorsConfiguration"]["Fn::If"][1]["CorsRules"]
    rule = {name: value for name, value in declared_rule.items() if name not in {"ExposedHeaders", "MaxAge"}}
    return cast(
        "CORSRuleTypeDef",
        rule
        | {
            "AllowedOrigins": ["*"],
            "ExposeHeaders": declared_rule["ExposedHeaders"],
            "MaxAgeSeconds": declared_rule["MaxAge"],
        },
    )


def _prepare_bucket(name: str, properties: dict[str, Any], parameters: dict[str, str]) -> None:
    """Set versioning, CORS and the lifecycle rules, which moto's CloudFormation ignores.

    With another S3 engine, create the bucket there first.
    """
    s3 = boto3.client("s3")
    if "AWS_ENDPOINT_URL_S3" in os.environ:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if "VersioningConfiguration" in properties:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])
    if "CorsConfiguration" in properties:
        s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [_cors_rule(properties)]})
    rules: list[LifecycleRuleTypeDef] = []
    for declared_rule in properties["LifecycleConfiguration"]["Rules"]:
        rule = {
            name: value
            for name, value in declared_rule.items()
            if name not in {"Id", "ExpirationInDays", "ExpiredObjectDeleteMarker"}
        }
        if "ExpiredObjectDeleteMarker" in declared_rule:
            rule["Expiration"] = {"ExpiredObjectDeleteMarker": declared_rule["ExpiredObjectDeleteMarker"]}
        if "ExpirationInDays" in declared_rule:
            rule["Expiration"] = {"Days": int(parameter_value(declared_rule["ExpirationInDays"]["Ref"], parameters))}
        rules.append(cast("LifecycleRuleTypeDef", rule | {"ID": declared_rule["Id"], "Filter": {"Prefix": ""}}))
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
