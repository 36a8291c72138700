"""Types of resources, as options name them."""

from typing import Literal

ResourceType = Literal["dataset", "experiment", "model", "deployment", "report"]
