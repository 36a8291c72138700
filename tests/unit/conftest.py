"""The world's place until every test imports it from `tests.world`."""

from tests.world import World

__all__ = ["World"]
