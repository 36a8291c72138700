"""Reader of template.yaml: its functions, event source mappings, schedules and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from local.stack import ROOT, EventSource, Function, Schedule

#: The highest concurrency of an event source mapping on one machine.
LOCAL_CONCURRENCY = 4


@cache
def load_template() -> dict[str, Any]:
    """Return the parsed template. It is cached, so callers must not change it."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return template


def function_resources(resources: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Iterate over the template's functions: logical id and resource."""
    return ((name, resource) for name, resource in resources.items() if resource["Type"] == "AWS::Serverless::Function")


def read_function(lambda_client: Any, name: str, physical_name: str, properties: dict[str, Any]) -> Function:
    """Return a deployed function: its configuration as Lambda has it, its folder as the template has it."""
    configuration = lambda_client.get_function_configuration(FunctionName=physical_name)
    return Function(
        name=name,
        physical_name=physical_name,
        role=configuration["Role"],
        folder=ROOT / properties["CodeUri"],
        environment={key: str(value) for key, value in configuration["Environment"]["Variables"].items()},
        timeout=configuration["Timeout"],
        memory=configuration["MemorySize"],
    )


def read_schedules(resources: dict[str, Any], parameters: dict[str, str]) -> Iterator[Schedule]:
    """Iterate over the schedules that are enabled."""
    for name, resource in function_resources(resources):
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] == "ScheduleV2" and (expression := _schedule_expression(event["Properties"], parameters)):
                yield Schedule(expression, name)


def read_event_sources(
    resources: dict[str, Any], physical_ids: dict[str, str], parameters: dict[str, str]
) -> Iterator[EventSource]:
    """Iterate over the event source mappings, with their concurrency limited to ``LOCAL_CONCURRENCY``.

    Args:
        resources: The resources of the template.
        physical_ids: The physical id of each deployed resource by logical id. That of a queue is its URL.
        parameters: The parameters that differ from their defaults.
    """
    for resource in resources.values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            properties = resource["Properties"]
            concurrency = int(parameter_value(properties["ScalingConfig"]["MaximumConcurrency"]["Ref"], parameters))
            yield EventSource(
                queue_url=physical_ids[_referenced_resource(properties["EventSourceArn"]["Fn::GetAtt"])],
                function=_referenced_resource(properties["FunctionName"]["Ref"]),
                batch_size=properties["BatchSize"],
                concurrency=min(concurrency, LOCAL_CONCURRENCY),
            )


def parameter_value(name: str, parameters: dict[str, str]) -> str:
    """Return the value of a template parameter: from ``parameters``, or its default."""
    return parameters.get(name, str(load_template()["Parameters"][name]["Default"]))


def _referenced_resource(reference: str | list[str]) -> str:
    """Return the logical id in ``Resource.Attribute`` or ``[Resource, Attribute]``."""
    return reference.partition(".")[0] if isinstance(reference, str) else reference[0]


def _schedule_expression(properties: dict[str, Any], parameters: dict[str, str]) -> str:
    """Return the schedule expression, or an empty string if the schedule is disabled."""
    expression = properties["ScheduleExpression"]
    if isinstance(expression, dict):
        _, reference, _ = expression["Fn::If"]
        return parameter_value(reference["Ref"], parameters)
    return str(expression)
