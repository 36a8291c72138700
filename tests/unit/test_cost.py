"""The month in docs/operations.md adds up."""

import re
from decimal import ROUND_HALF_UP, Decimal

from local.stack import ROOT

CENT = Decimal("0.01")
ROW = re.compile(r"^\| (?!\*\*)(.+?) \| ([\d,.]+) \| ([\d.]+) \| ([\d,]+) \| ([\d.]+) \|", re.MULTILINE)


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def test_each_line_is_its_quantity_at_its_price_and_the_lines_add_up() -> None:
    table = (ROOT / "docs" / "operations.md").read_text().partition("## What a month costs")[2]
    rows = ROW.findall(table)
    assert len(rows) == 15
    for what, quantity, price, per, amount in rows:
        expected = (number(quantity) * number(price) / number(per)).quantize(CENT, ROUND_HALF_UP)
        assert number(amount) == expected, what
    (total,) = re.findall(r"\*\*([\d.]+)\*\*", table)
    assert number(total) == sum(number(row[-1]) for row in rows)
