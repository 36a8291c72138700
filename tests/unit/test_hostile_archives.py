"""Archives as attackers make them: each is rejected with the error that the documentation lists."""

import pytest

from local.stack import ROOT
from projects_api.archive.archive_errors import ArchiveError
from projects_api.archive.inflate import InflateError
from tests.support.hostile_archives import (
    CONTENT,
    HOSTILE_ARCHIVES,
    MEMBER,
    PATH,
    HostileArchive,
    build_archive,
    build_manifest,
    file_entry,
    manifest_entry,
    render_table,
)
from tests.support.import_plans import plan_in_memory, read_files
from tests.support.raw_zip import write_raw_zip


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


@pytest.mark.parametrize("content_type", ["text/csv\r\nX-Evil: 1", "text/größe", " ", "x\x00"])
def test_content_type_that_is_no_header(content_type: str) -> None:
    """The object gets a plain content type. The record keeps the one of the manifest."""
    archive = write_raw_zip([manifest_entry(build_manifest(files=[{"content_type": content_type}])), file_entry()])
    plan = plan_in_memory(archive)
    assert [file.content_type for file in plan.files] == ["application/octet-stream"]
    assert plan.artifacts[PATH].content_type == content_type


@pytest.mark.parametrize("section", ["project", "members", "resources", "files"])
def test_lone_surrogates(section: str) -> None:
    """JSON can contain half of a character. No text of a manifest may."""
    member = {name: value for name, value in MEMBER.items() if name != "name"}  # an import does not read the name
    manifest = build_manifest(members=[member])
    row = manifest[section] if section == "project" else manifest[section][0]
    for name in [name for name, value in row.items() if isinstance(value, str)]:
        changed = row | {name: "\ud800"}
        archive = write_raw_zip(
            [manifest_entry(manifest | {section: changed if section == "project" else [changed]}), file_entry()]
        )
        with pytest.raises(ArchiveError):
            plan_in_memory(archive)


def test_table_in_the_documentation(pytestconfig: pytest.Config) -> None:
    """The page lists every archive. `pytest --write-hostile-archives` writes it."""
    page = ROOT / "docs" / "reference" / "imports.md"
    before, start, rest = page.read_text().partition("<!-- attacks -->\n")
    _, end, after = rest.partition("\n<!-- until here -->")
    updated = before + start + render_table() + "\n" + end + after
    if pytestconfig.getoption("write_hostile_archives"):
        page.write_text(updated)
    assert page.read_text() == updated
