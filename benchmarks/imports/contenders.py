"""The contenders of the import benchmark. As a program: runs one of them and prints its measurements as JSON."""

import argparse
import json
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import boto3

from benchmarks.archive.contenders import TrafficCounter, peak_memory
from projects_api import settings
from projects_api.archive.zip_reader import PARALLEL_READS
from projects_api.domain.imports.file_copier import FileCopier
from projects_api.domain.imports.import_plan import plan_import
from projects_api.entities.clock import now
from projects_api.entities.ids import ImportId, ProjectId, UserId
from projects_api.entities.project import Caller
from projects_api.entities.project_import import Import, ImportStatus, MembersMode
from projects_api.entities.user import Email
from projects_api.storage.s3 import import_source

#: The import, and the prefix of the artifacts that the usual way writes.
IMPORT = ImportId("00000000-0000-7000-8000-000000000001")
PROJECT = ProjectId("00000000-0000-7000-8000-000000000002")
OTHER_PREFIX = "read-and-put/"


def import_in_s3() -> None:
    """Import the archive as the worker does, without the items in the table."""
    caller = Caller(UserId(PROJECT), Email("a@example.com"), "A")
    source = import_source.open_archive(
        Import(IMPORT, caller, PROJECT, ImportStatus.RUNNING, MembersMode.NONE, created_at=now(), expires_at=now())
    )
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        plan = plan_import(
            lambda start, size: import_source.read(source, start, size),
            source.size,
            import_id=IMPORT,
            project_id=PROJECT,
            map_=pool.map,
        )
    list(plan.list_resources())
    FileCopier(source, plan.files, resumed=False, should_continue=lambda: True).copy({})


def read_and_put() -> None:
    """Import the archive in the usual way: zipfile reads each file through smart_open, and boto3 uploads it."""
    import smart_open  # noqa: PLC0415 - would count in the memory of the other contender

    s3, bucket = boto3.client("s3"), settings.artifacts_bucket()
    url = f"s3://{bucket}/{import_source.uploaded_archive_key(IMPORT)}"
    with smart_open.open(url, "rb", transport_params={"client": s3}) as file, zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        for row in manifest["files"]:
            with archive.open(row["path"]) as content:
                s3.upload_fileobj(content, bucket, OTHER_PREFIX + row["path"])


#: The label in the results of the contender that is this project, and of the usual way.
THIS_PROJECT, USUAL_WAY = "projects-api", "smart_open and zipfile"

CONTENDERS: dict[str, Callable[[], None]] = {THIS_PROJECT: import_in_s3, USUAL_WAY: read_and_put}


def main() -> None:
    """Run one contender and print its measurements: seconds, CPU seconds, peak memory, bytes and requests."""
    parser = argparse.ArgumentParser(description="Import one archive and print the measurements as JSON.")
    parser.add_argument("contender", choices=CONTENDERS)
    arguments = parser.parse_args()
    traffic = TrafficCounter()
    started, cpu_started = time.perf_counter(), time.process_time()
    CONTENDERS[arguments.contender]()
    measurements = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu_started,
        "memory": peak_memory(),
        "bytes": traffic.bytes,
        "requests": traffic.requests,
    }
    print(json.dumps(measurements))


if __name__ == "__main__":
    main()
