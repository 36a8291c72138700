"""Pages of the documentation that repeat values of the code: they state the same values."""

import json
import re
from pathlib import Path

import pytest

from local.stack import ROOT
from local.template import load_template
from projects_api.domain.permissions import Action
from projects_api.entities.activity_entry import ActivityAction
from projects_api.storage.dynamodb.member_store import MEMBERS_PER_TRANSACTION
from projects_api.telemetry import Metric

DOCS = ROOT / "docs"
LAYER = ROOT / "layers" / "core" / "projects_api"


def read_rows(page: Path, columns: int) -> list[list[str]]:
    """Return the rows of all tables of a page that have a number of columns, without the rules below the heads."""
    rows = [line.strip("|").split("|") for line in page.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if len(row) == columns and "---" not in row[0]]


def test_pagination() -> None:
    """The page lists the parameters of every list, with their defaults and maximums."""
    paths = json.loads((DOCS / "openapi.json").read_text())["paths"]
    lists = {}
    for path, operations in paths.items():
        parameters = {each["name"]: each["schema"] for each in operations.get("get", {}).get("parameters", [])}
        if "limit" in parameters:
            names = ", ".join(f"`{name}`" for name in ("limit", "offset", "cursor") if name in parameters)
            limit = parameters["limit"]
            lists[path.rpartition("/")[2]] = [names, f"{limit['default']}, {limit['maximum']:,}"]
    rows = read_rows(DOCS / "reference" / "pagination.md", 4)[1:]
    assert {name: cells[:2] for name, *cells in rows} == lists


def test_roles() -> None:
    """The page lists each action in the row of the lowest role that may do it."""
    roles = {row[0].strip("`"): row[1] for row in read_rows(DOCS / "reference" / "authentication.md", 2)}
    for action in Action:
        assert action.description.replace(" or ", " and ") in roles[action.lowest_role]


def test_activity_actions() -> None:
    named = re.findall(
        r"`([a-z]+\.[a-z_]+)`", " ".join(row[0] for row in read_rows(DOCS / "reference" / "activity.md", 2))
    )
    assert sorted(named) == sorted(ActivityAction)


@pytest.mark.parametrize("page", ["explanation/table.md", "reach.md"])
def test_memberships_in_a_transaction(page: str) -> None:
    assert re.findall(r"(\d+) (?:memberships,|in each transaction)", (DOCS / page).read_text()) == [
        str(MEMBERS_PER_TRANSACTION)
    ]


def test_places_exist() -> None:
    """The architecture page names files that exist."""
    rows = read_rows(DOCS / "explanation" / "architecture.md", 2)
    named = re.findall(r"`([a-z_/]+/[a-z_]+\.py)`", " ".join(row[1] for row in rows))
    assert len(named) > 10
    assert [name for name in named if not any((root / name).exists() for root in (ROOT, LAYER))] == []


def test_quantities_of_the_cost_table() -> None:
    """The table counts the metrics, those in alarms, and the queues that Lambda polls."""
    resources = load_template()["Resources"].values()
    alarms = [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    in_alarms = sum(len([each for each in alarm.get("Metrics", [{}]) if "Expression" not in each]) for alarm in alarms)
    queues = [each for each in resources if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    rows = {row[0]: row for row in read_rows(DOCS / "explanation" / "cost.md", 7)}
    assert rows["CloudWatch, metrics of our own"][1] == str(len(Metric))
    assert rows["CloudWatch, metrics in alarms"][1] == str(in_alarms)
    words = {3: "three", 4: "four", 5: "five"}
    assert f"polling of {words[len(queues)]} queues" in rows["SQS, requests"][6]
