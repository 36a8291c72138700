"""Write the table of template parameters into docs/reference/parameters.md: ``make parameters``."""

import re
from pathlib import Path
from typing import Any

from local.template import load_template

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "parameters.md"
TABLE = re.compile(r"(<!-- written by `make parameters` -->\n).*(<!-- until here -->)", re.DOTALL)


def format_table(parameters: dict[str, Any]) -> str:
    """Return the parameters as a table in Markdown."""
    rows = ["| parameter | default | values | meaning |", "|---|---|---|---|"]
    for name, parameter in parameters.items():
        default = f"`{parameter['Default']}`" if str(parameter["Default"]) else "empty"
        values = ", ".join(f"`{value}`" for value in parameter.get("AllowedValues", []))
        if not values and "MinValue" in parameter:
            values = f"{parameter['MinValue']} to {parameter.get('MaxValue', '…')}"
        rows.append(f"| `{name}` | {default} | {values} | {parameter['Description']} |")
    return "\n".join(rows) + "\n"


def render_page() -> str:
    """Return the page with the current table."""
    return TABLE.sub(lambda found: found[1] + format_table(load_template()["Parameters"]) + found[2], PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(render_page())
