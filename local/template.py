"""Read template.yaml: its functions, event sources and schedules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from samtranslator.yaml_helper import yaml_parse

from local.stack import ROOT, Function, Schedule, Source

#: The most messages or batches of a queue that are worked on at once on one machine.
LOCAL_CONCURRENCY = 4


@cache
def load_template() -> dict[str, Any]:
    """The template, which is not to be changed."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return template


def functions(declared: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The template's functions, by their names in it."""
    return ((name, one) for name, one in declared.items() if one["Type"] == "AWS::Serverless::Function")


def function(name: str, deployed_as: str, properties: dict[str, Any]) -> Function:
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=deployed_as)
    return Function(
        name=name,
        deployed_as=deployed_as,
        role=configuration["Role"],
        folder=ROOT / properties["CodeUri"],
        environment={key: str(value) for key, value in configuration["Environment"]["Variables"].items()},
        timeout=configuration["Timeout"],
        memory=configuration["MemorySize"],
    )


def schedules(declared: dict[str, Any], parameters: dict[str, str]) -> Iterator[Schedule]:
    """The schedules that are not off."""
    for name, declaration in functions(declared):
        for event in declaration["Properties"].get("Events", {}).values():
            if event["Type"] == "ScheduleV2" and (expression := _schedule_expression(event["Properties"], parameters)):
                yield Schedule(expression, name)


def event_sources(declared: dict[str, Any], names: dict[str, str], parameters: dict[str, str]) -> Iterator[Source]:
    for resource in declared.values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            properties = resource["Properties"]
            concurrency = int(parameter(properties["ScalingConfig"]["MaximumConcurrency"]["Ref"], parameters))
            yield Source(
                queue_url=names[_referred(properties["EventSourceArn"]["Fn::GetAtt"])],
                function=_referred(properties["FunctionName"]["Ref"]),
                batch_size=properties["BatchSize"],
                concurrency=min(concurrency, LOCAL_CONCURRENCY),
            )


def _referred(reference: str | list[str]) -> str:
    """Which resource ``Resource.Attribute`` is of."""
    return reference.partition(".")[0] if isinstance(reference, str) else reference[0]


def _schedule_expression(properties: dict[str, Any], parameters: dict[str, str]) -> str:
    """The expression, or nothing where the schedule is off."""
    expression = properties["ScheduleExpression"]
    if isinstance(expression, dict):
        _, reference, _ = expression["Fn::If"]
        return parameter(reference["Ref"], parameters)
    return str(expression)


def parameter(name: str, parameters: dict[str, str]) -> str:
    return parameters.get(name, str(load_template()["Parameters"][name]["Default"]))
