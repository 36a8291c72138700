"""The OpenAPI document that is committed is the one that the handlers declare."""

from pathlib import Path

import pytest

from local.openapi import PLACES, document
from tests.world import World


@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.parent.name))
def test_the_document_is_not_stale(world: World, place: Path) -> None:
    assert place.read_text() == document(), "run `make openapi`"
