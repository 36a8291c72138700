"""Keys and part sizes of uploaded files."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects_api.domain.uploaded_files import object_key
from projects_api.domain.uploads import choose_part_size
from projects_api.entities.errors import InvalidInputError
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.resource import ResourceType
from projects_api.entities.upload import MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "a.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\größe.csv", "größe.csv"),
        ("con.csv", "_con.csv"),
        ("a<b>|?.csv", "a_b___.csv"),
        ("..", "_"),
        ("x" * 300 + ".csv", "x" * 251 + ".csv"),
        ("Cafe\u0301.csv", "Café.csv"),
    ],
)
def test_object_key(name: str, expected: str) -> None:
    key = object_key(ProjectId("p"), ResourceType.DATASET, ResourceId("r"), name)
    assert key == f"projects/p/datasets/r/{expected}"


@given(st.text(min_size=1, max_size=1024))
def test_object_key_stays_in_its_folder(name: str) -> None:
    folder, _, file_name = object_key(ProjectId("p"), ResourceType.MODEL, ResourceId("r"), name).rpartition("/")
    assert folder == "projects/p/models/r"
    assert 0 < len(file_name.encode()) <= 255
    assert file_name not in {".", ".."}


@given(st.integers(0, 5 << 40), st.none() | st.integers(MIN_PART_SIZE, MAX_PART_SIZE))
def test_part_sizes(size: int, part_size: int | None) -> None:
    """Every accepted file has at most 10,000 parts of at most 5 GiB, and the parts make up the file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAX_UPLOAD_BYTES", str(5 << 40))
        try:
            chosen = choose_part_size(size, part_size)
        except InvalidInputError as error:
            smallest = int(re.findall(r"\d+", str(error))[-1])
            assert choose_part_size(size, smallest) == smallest
            return
    count = max(1, -(-size // chosen))
    assert count <= MAX_PARTS
    assert chosen <= MAX_PART_SIZE
    if part_size is None and size <= MAX_PART_SIZE:
        assert count == 1
