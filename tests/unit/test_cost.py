"""The cost table in docs/explanation/cost.md."""

import re
from decimal import ROUND_HALF_UP, Decimal

from local.stack import ROOT

CENT = Decimal("0.01")
ROW = re.compile(r"^\| (?!\*\*)(.+?) \| ([\d,.]+) \| ([\d.]+) \| ([\d,]+) \| ([\d.]+) \|", re.MULTILINE)


def parse_number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def test_cost_table_adds_up() -> None:
    """Each amount is the quantity at the price, and the total is the sum of the amounts."""
    table = (ROOT / "docs" / "explanation" / "cost.md").read_text().partition("## What a month costs")[2]
    rows = ROW.findall(table)
    assert len(rows) == 15
    for item, quantity, price, per, amount in rows:
        expected = (parse_number(quantity) * parse_number(price) / parse_number(per)).quantize(CENT, ROUND_HALF_UP)
        assert parse_number(amount) == expected, item
    (total,) = re.findall(r"\*\*([\d.]+)\*\*", table)
    assert parse_number(total) == sum(parse_number(row[-1]) for row in rows)
