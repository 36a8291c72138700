"""Archives as attackers make them: each is rejected with the error that the documentation lists."""

import pytest

from local.stack import ROOT
from projects_api.archive.inflate import InflateError
from projects_api.archive.zip_reader import ArchiveError
from tests.support.hostile_archives import (
    CONTENT,
    HOSTILE_ARCHIVES,
    PATH,
    HostileArchive,
    build_archive,
    render_table,
)
from tests.support.import_plans import plan_in_memory, read_files


def test_archive_that_they_differ_from_is_valid() -> None:
    plan = plan_in_memory(build_archive())
    assert (plan.warnings, read_files(plan)) == ([], {PATH: CONTENT})


@pytest.mark.parametrize("archive", HOSTILE_ARCHIVES, ids=lambda archive: f"{archive.section} {archive.description}")
def test_hostile_archive(archive: HostileArchive) -> None:
    """The import ends with the documented error, before or while the files are read."""
    body = archive.build()
    try:
        read_files(plan_in_memory(body))
    except ArchiveError as error:
        message = " ".join(error.errors)
    except InflateError as error:
        message = str(error)
    else:
        pytest.fail("The archive was accepted.")
    assert archive.error in message


def test_table_in_the_documentation(pytestconfig: pytest.Config) -> None:
    """The page lists every archive. `pytest --write-hostile-archives` writes it."""
    page = ROOT / "docs" / "reference" / "imports.md"
    before, start, rest = page.read_text().partition("<!-- attacks -->\n")
    _, end, after = rest.partition("\n<!-- until here -->")
    updated = before + start + render_table() + "\n" + end + after
    if pytestconfig.getoption("write_hostile_archives"):
        page.write_text(updated)
    assert page.read_text() == updated
