"""The running stack that the generated clients call."""

from tests.e2e.conftest import stack

__all__ = ["stack"]
