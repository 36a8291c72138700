"""Plans of imports of archives in memory, without S3."""

from projects_api.archive.entry_content import read_content
from projects_api.domain.imports.import_plan import ImportPlan, plan_import
from projects_api.entities.ids import ImportId, ProjectId, new_id


def plan_in_memory(archive: bytes) -> ImportPlan:
    """Return the plan of an import of an archive."""
    return plan_import(
        lambda start, size: archive[start : start + size],
        len(archive),
        import_id=ImportId(new_id()),
        project_id=ProjectId(new_id()),
    )


def read_files(plan: ImportPlan) -> dict[str, bytes]:
    """Return the files of an import by the path of their entries, after verifying their content."""
    return {file.entry.path: b"".join(read_content(plan.read, file.entry)) for file in plan.files}
