"""What is answered where there is nothing to tell."""

from typing import Literal

from pydantic import BaseModel


class OkResponse(BaseModel):
    ok: Literal[True]
